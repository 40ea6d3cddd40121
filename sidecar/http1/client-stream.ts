// One request and its answer on a client connection: how a request's head is written.
import type { Fields } from '#flow/stream.ts'
import { SendingStream, type StreamOwner } from './sending-stream.ts'
import { requestHead } from './serialize.ts'

export class ClientStream extends SendingStream<StreamOwner> {
  readonly version = '1.1'
  isHead = false
  hasUpgrade = false
  /** Bytes of 1xx heads so far. */
  interimBytes = 0

  protected writeHead(fields: Fields, end: boolean): void {
    const { pen } = this.owner
    const text = requestHead(pen, fields, end)
    this.isHead = text.startsWith('HEAD ')
    this.hasUpgrade = pen.lines.hasUpgrade
    this.sendFinalHead(text, end)
  }
}
