// Which bodies of a connection are long and pass at this moment. A request that has a choice is better off beside none: what is lost
// on the way of one stream holds up all of its connection, and what waits in its sockets lies before every other.
import type { Clock } from '#shared/clock.ts'

/** A body is counted whenever so much of it has passed, either way: shorter ones never are. */
export const BULK_STEP_BYTES = 2 * 1024 * 1024
/** Not longer, so that a stream of many days is bulk only while it is fast: 2 MiB a second and more, without a break. */
const LIVELY_MS = 1000

export class Bulk<Body> {
  readonly #clock: Clock
  /** When the last step of each was. */
  readonly #steps = new Map<Body, number>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  onStep(body: Body): void {
    this.#steps.set(body, this.#clock.now())
  }

  forget(body: Body): void {
    this.#steps.delete(body)
  }

  get size(): number {
    if (this.#steps.size === 0) return 0
    const now = this.#clock.now()
    for (const [body, at] of this.#steps) if (now - at > LIVELY_MS) this.#steps.delete(body)
    return this.#steps.size
  }
}
