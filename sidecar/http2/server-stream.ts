// One request on a server connection: how the heads of its answer are written, and how a request that goes on is given up.
import { Unsendable } from '#flow/error.ts'
import type { Fields, ResetCode, StreamEvents } from '#flow/stream.ts'
import { Stream } from './stream.ts'

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

export class ServerStream extends Stream {
  #resetsWhenSent = false

  /** An answer that was handed over whole still goes out; then its client may stop sending. */
  override reset(code: ResetCode): void {
    if (!this.isEnding) return super.reset(code)
    this.#resetsWhenSent = true
    this.events = SILENT
  }

  protected override onSent(): void {
    if (this.#resetsWhenSent) super.reset('cancel')
  }

  protected writeHead(fields: Fields, end: boolean): boolean {
    const status = Number(fields[fields.indexOf(':status') + 1])
    if (!Number.isInteger(status) || status < 100 || status > 999 || status === 101)
      throw new Unsendable('a status that HTTP/2 cannot carry')
    const isFinal = status >= 200
    this.writeFields(fields, end && isFinal)
    return isFinal
  }
}
