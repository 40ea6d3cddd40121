// The body of a message on its way in: none, of a known length, chunked, or all bytes until the connection ends.
import { type BodySink, ChunkedReader } from './chunked.ts'

type Framing = 'none' | 'length' | 'chunked' | 'rest'

export class BodyReader {
  readonly #sink: BodySink
  /** Made at the first chunked body: most connections never see one. */
  #chunked: ChunkedReader | null = null
  #framing: Framing = 'none'
  #left = 0

  constructor(sink: BodySink) {
    this.#sink = sink
  }

  /** True when nothing of a body is awaited. */
  get isOver(): boolean {
    return this.#framing === 'none' || (this.#framing === 'chunked' && this.#chunked?.isDone === true)
  }

  /** True when the end of the connection is the end of the body. */
  get isRest(): boolean {
    return this.#framing === 'rest'
  }

  beginLength(length: number): void {
    this.#framing = length === 0 ? 'none' : 'length'
    this.#left = length
  }

  beginChunked(): void {
    this.#chunked ??= new ChunkedReader(this.#sink)
    this.#chunked.begin()
    this.#framing = 'chunked'
  }

  beginRest(): void {
    this.#framing = 'rest'
  }

  /** Nothing more is emitted, also when called from within an event. */
  stop(): void {
    this.#framing = 'none'
    this.#chunked?.stop()
  }

  /** Returns the offset behind what it took. */
  push(bytes: Buffer, from: number): number {
    if (this.#framing === 'chunked') return this.#chunked?.push(bytes, from) ?? from
    if (this.#framing === 'none') return from
    if (this.#framing === 'rest') {
      this.#sink.onBody(bytes, from, bytes.length, false)
      return bytes.length
    }
    const to = Math.min(bytes.length, from + this.#left)
    this.#left -= to - from
    if (this.#left === 0) this.#framing = 'none'
    this.#sink.onBody(bytes, from, to, this.#left === 0)
    return to
  }
}
