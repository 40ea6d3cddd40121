// One request on a client connection: it gets its number when its head is sent, since numbers must ascend on the wire.
import { Unsendable } from '#flow/error.ts'
import type { Fields, StreamEvents } from '#flow/stream.ts'
import { Stream, type StreamOwner } from './stream.ts'

export interface ClientStreamOwner extends StreamOwner {
  /** Gives the stream its number; false: no further one goes out on this connection, and the stream is told so. */
  assign(stream: ClientStream): boolean
}

export class ClientStream extends Stream {
  isHead = false
  /** The final head of the answer has come. */
  isAnswered = false
  /** Of 1xx heads so far. */
  interimBytes = 0
  /** How often the output had been flushed: until the next time, nothing of it can have been processed. */
  bornAtFlush = -1
  readonly #owner: ClientStreamOwner

  constructor(owner: ClientStreamOwner, events: StreamEvents, sendWindow: number) {
    super(owner, 0, sendWindow)
    this.#owner = owner
    this.events = events
  }

  protected writeHead(fields: Fields, end: boolean): boolean {
    const method = fields[fields.indexOf(':method') + 1]
    if (method === undefined || method === '' || method === 'CONNECT')
      throw new Unsendable('a method that cannot be sent')
    this.isHead = method === 'HEAD'
    if (!this.#owner.assign(this)) return false
    this.writeFields(fields, end)
    return true
  }
}
