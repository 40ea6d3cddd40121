// A request that begins a moment after it came: until then nobody knows of it, and nothing of it is lost.
import type { Fields, ResetCode, StreamEvents } from '#flow/stream.ts'
import type { Stream } from './stream.ts'

/** Of a body: with more there is no reason to wait. */
const KEPT_BYTES = 16 * 1024

export interface PostponedParts {
  /** Makes the request known, who sets its events. */
  readonly accept: (stream: Stream) => void
  /** It is over, or has begun. */
  readonly onGone: (postponed: Postponed) => void
}

export class Postponed implements StreamEvents {
  readonly #stream: Stream
  readonly #parts: PostponedParts
  readonly #told: ((events: StreamEvents) => void)[] = []
  #keptBytes = 0

  constructor(stream: Stream, parts: PostponedParts) {
    this.#stream = stream
    this.#parts = parts
  }

  onHead(fields: Fields, end: boolean): void {
    this.#told.push((events) => events.onHead(fields, end))
  }

  onData(bytes: Uint8Array, from: number, to: number, end: boolean): void {
    const kept = Buffer.from(bytes.subarray(from, to))
    this.#told.push((events) => events.onData(kept, 0, kept.length, end))
    this.#keptBytes += kept.length
    if (this.#keptBytes > KEPT_BYTES) this.begin()
  }

  onTrailers(fields: Fields): void {
    this.#told.push((events) => events.onTrailers(fields))
  }

  onReset(_code: ResetCode): void {
    this.#parts.onGone(this)
  }

  onDrain(): void {}

  begin(): void {
    this.#parts.onGone(this)
    this.#parts.accept(this.#stream)
    for (const tell of this.#told) if (!this.#stream.isOver) tell(this.#stream.events)
  }
}
