// A count that empties with time: bursts are honest, what lasts is not.
import type { Clock } from '#shared/clock.ts'

export interface Allowance {
  readonly burst: number
  readonly perSecond: number
}

export class Bucket {
  readonly #allowance: Allowance
  readonly #clock: Clock
  #level = 0
  #since: number

  constructor(allowance: Allowance, clock: Clock) {
    this.#allowance = allowance
    this.#clock = clock
    this.#since = clock.now()
  }

  /** Returns whether it was one too many. */
  add(): boolean {
    this.#level++
    return this.isOver
  }

  get isOver(): boolean {
    // Only above the brim is the time worth asking for.
    if (this.#level <= this.#allowance.burst) return false
    const now = this.#clock.now()
    this.#level = Math.max(1, this.#level - ((now - this.#since) / 1000) * this.#allowance.perSecond)
    this.#since = now
    return this.#level > this.#allowance.burst
  }

  /** What was done honestly pays for what will be. */
  pay(amount: number): void {
    this.#level = Math.max(0, this.#level - amount)
  }

  fill(): void {
    this.#level = this.#allowance.burst
    this.#since = this.#clock.now()
  }
}
