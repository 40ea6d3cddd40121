// Many deadlines of one length on one timer. All last equally long, so the order of starting is the order of ending:
// a Map keeps it, and the timer only ever waits for the first. Starting and stopping one sets no timer.
import type { Clock } from '#shared/clock.ts'

export class Deadlines<T extends object> {
  readonly #clock: Clock
  readonly #onExpire: (item: T) => void
  /** Item to the time it started; the oldest first. */
  readonly #running = new Map<T, number>()
  #lengthMs: number
  #cancelTimer: (() => void) | null = null

  constructor(lengthMs: number, clock: Clock, onExpire: (item: T) => void) {
    this.#lengthMs = lengthMs
    this.#clock = clock
    this.#onExpire = onExpire
  }

  get size(): number {
    return this.#running.size
  }

  get lengthMs(): number {
    return this.#lengthMs
  }

  /** Holds for those that run already, too. */
  set lengthMs(next: number) {
    this.#lengthMs = next
    this.#cancelTimer?.()
    this.#cancelTimer = null
    this.#arm()
  }

  /** Starts it, or starts it afresh. */
  start(item: T): void {
    this.#running.delete(item)
    this.#running.set(item, this.#clock.now())
    if (this.#cancelTimer === null) this.#arm()
  }

  /** Starts it afresh if it runs. */
  touch(item: T): void {
    if (this.#running.delete(item)) this.#running.set(item, this.#clock.now())
  }

  /** Returns how long it ran, or undefined when it did not. */
  stop(item: T): number | undefined {
    const since = this.#running.get(item)
    if (since === undefined) return undefined
    this.#running.delete(item)
    return this.#clock.now() - since
  }

  clear(): void {
    this.#running.clear()
    this.#cancelTimer?.()
    this.#cancelTimer = null
  }

  #arm(): void {
    const oldest = this.#running.values().next()
    if (oldest.done === true) return
    const leftMs = oldest.value + this.#lengthMs - this.#clock.now()
    this.#cancelTimer = this.#clock.after(Math.max(0, leftMs), () => this.#expire())
  }

  #expire(): void {
    this.#cancelTimer = null
    const startedBy = this.#clock.now() - this.#lengthMs
    for (const [item, since] of this.#running) {
      if (since > startedBy) break
      this.#running.delete(item)
      this.#onExpire(item)
    }
    // An expiry may have started others, and so have armed the timer.
    if (this.#cancelTimer === null) this.#arm()
  }
}
