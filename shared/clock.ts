// Time as a value that tests can hold in their hand.

export interface Clock {
  /** Milliseconds on a clock that never goes back; for durations and deadlines. */
  now(): number
  /** Milliseconds since 1970; for certificates, logs and spans. */
  wall(): number
  /** Like setTimeout; the timer never keeps the process alive. Returns the way to cancel. */
  after(delayMs: number, run: () => void): () => void
}

/** Node runs at once what is set for later than this. */
const LONGEST_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => performance.now(),
  wall: () => Date.now(),
  after(delayMs, run) {
    let timer: NodeJS.Timeout
    const wait = (leftMs: number): void => {
      timer = setTimeout(leftMs > LONGEST_MS ? () => wait(leftMs - LONGEST_MS) : run, Math.min(leftMs, LONGEST_MS))
      timer.unref()
    }
    wait(delayMs)
    return () => clearTimeout(timer)
  },
}

/** A clock that moves only when told; timers run in order as it passes them. */
export class ManualClock implements Clock {
  #now = 0
  readonly #startedAt: number
  readonly #timers = new Set<{ at: number; run: () => void }>()

  constructor(startedAt = 1_700_000_000_000) {
    this.#startedAt = startedAt
  }

  now(): number {
    return this.#now
  }

  wall(): number {
    return this.#startedAt + this.#now
  }

  after(delayMs: number, run: () => void): () => void {
    const timer = { at: this.#now + delayMs, run }
    this.#timers.add(timer)
    return () => this.#timers.delete(timer)
  }

  advance(byMs: number): void {
    const end = this.#now + byMs
    for (;;) {
      const due = [...this.#timers].filter((timer) => timer.at <= end).sort((a, b) => a.at - b.at)[0]
      if (due === undefined) break
      this.#timers.delete(due)
      this.#now = Math.max(this.#now, due.at)
      due.run()
    }
    this.#now = end
  }
}
