// The body of a message on its way out, in the framing that its head announced. It never sends more or less than was said.
import { Unsendable } from '#flow/error.ts'
import type { Fields } from '#flow/stream.ts'
import { trailerLines } from './field-lines.ts'
import type { Output } from './output.ts'

/** none: bytes are dropped (HEAD, 204, 304). rest: as they are until the connection's or the direction's end. */
type Framing = 'none' | 'length' | 'chunked' | 'rest'

export class BodyWriter {
  readonly #output: Output
  #framing: Framing = 'none'
  #left = 0

  constructor(output: Output) {
    this.#output = output
  }

  begin(framing: Framing, length = 0): void {
    this.#framing = framing
    this.#left = length
  }

  get isRest(): boolean {
    return this.#framing === 'rest'
  }

  /** Returns false when the source should stop until the output drains. */
  data(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (to > from) this.#write(bytes, from, to)
    if (end) this.#end('')
    else this.#output.flushLater()
    return !this.#output.isFull
  }

  /** Ends the body; only the chunked coding can carry them. */
  trailers(fields: Fields): void {
    this.#end(this.#framing === 'chunked' ? trailerLines(fields) : '')
  }

  #write(bytes: Uint8Array, from: number, to: number): void {
    switch (this.#framing) {
      case 'none':
        return
      case 'chunked':
        this.#output.add(`${(to - from).toString(16)}\r\n`)
        this.#output.addBytes(bytes, from, to)
        this.#output.add('\r\n')
        return
      case 'length':
        this.#left -= to - from
        if (this.#left < 0) throw new Unsendable('a body longer than its Content-Length')
        this.#output.addBytes(bytes, from, to)
        return
      default:
        this.#output.addBytes(bytes, from, to)
    }
  }

  #end(trailers: string): void {
    if (this.#framing === 'length' && this.#left > 0) throw new Unsendable('a body shorter than its Content-Length')
    if (this.#framing === 'chunked') this.#output.add(`0\r\n${trailers}\r\n`)
    this.#output.flush()
  }
}
