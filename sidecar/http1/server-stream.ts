// One request and its answer on a server connection: how an answer's head is written; the connection knows the rest.
import { Unsendable } from '#flow/error.ts'
import type { Fields, StreamEvents } from '#flow/stream.ts'
import type { RequestHead } from './request-head.ts'
import { SendingStream, type StreamOwner } from './sending-stream.ts'
import { interimHead, responseHead } from './serialize.ts'

export interface ServerStreamOwner extends StreamOwner {
  /** True once the connection shall end with the answer that is being written. */
  readonly isDraining: boolean
  /** A 101 was sent: what was read behind the request is the tunnel's. */
  onTunnel(stream: ServerStream): void
}

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

export class ServerStream extends SendingStream<ServerStreamOwner> {
  readonly version: '1.0' | '1.1'
  readonly keepsAlive: boolean
  /** The connection ends after this answer. */
  closes: boolean
  endsWithClose = false
  /** The client waits for a 100 before it sends its body. */
  awaitsContinue: boolean
  readonly #isHead: boolean
  readonly #minor: number
  readonly #hasUpgrade: boolean

  constructor(owner: ServerStreamOwner, head: RequestHead) {
    super(owner, SILENT)
    this.#isHead = head.method === 'HEAD'
    this.#minor = head.minor
    this.#hasUpgrade = head.hasUpgrade
    this.version = head.minor === 1 ? '1.1' : '1.0'
    this.keepsAlive = head.keepsAlive
    this.closes = !head.keepsAlive
    this.isReceived = !head.isChunked && head.contentLength <= 0
    this.awaitsContinue = head.expectsContinue && !this.isReceived
  }

  protected writeHead(fields: Fields, end: boolean): void {
    const status = Number(fields[fields.indexOf(':status') + 1])
    if (status >= 200) this.#writeFinal(fields, status, end)
    else if (status === 101) this.#writeSwitch(fields)
    else this.#writeInterim(fields, status)
  }

  #writeFinal(fields: Fields, status: number, end: boolean): void {
    const { pen, isDraining } = this.owner
    // RFC 9110 section 10.1.1: without a 100 it may or may not send its body; what follows could be read in two ways.
    if (isDraining || this.awaitsContinue) this.closes = true
    const facts = { status, isToHead: this.#isHead, minor: this.#minor, closes: this.closes }
    const { text, endsWithClose } = responseHead(pen, fields, end, facts)
    this.endsWithClose = endsWithClose
    if (endsWithClose) this.closes = true
    this.sendFinalHead(text, end)
  }

  /** RFC 9110 section 15.2: never to a client of HTTP/1.0. */
  #writeInterim(fields: Fields, status: number): void {
    if (this.#minor === 0) return
    const { output, pen } = this.owner
    const text = interimHead(pen, fields, status)
    if (status === 100) this.awaitsContinue = false
    output.add(text)
    output.flush()
  }

  /** RFC 9110 section 7.8: only asked for, and after the whole request. */
  #writeSwitch(fields: Fields): void {
    if (!this.#hasUpgrade || !this.isReceived) throw new Unsendable('a 101 that the request does not allow')
    const { output, pen } = this.owner
    const text = interimHead(pen, fields, 101)
    pen.body.begin('rest')
    this.hasSentHead = this.isTunnel = true
    this.isReceived = false
    output.add(text)
    output.flush()
    this.owner.onTunnel(this)
  }
}
