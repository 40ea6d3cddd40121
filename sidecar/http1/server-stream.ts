// One request and its answer on a server connection. It knows how an answer is written; the connection knows the rest.
// Made anew for each request, so that a late call of a former exchange can never touch the next one.
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { Unsendable } from './field-lines.ts'
import type { Output } from './output.ts'
import type { RequestHead } from './request-head.ts'
import { interimHead, type Pen, responseHead } from './serialize.ts'

export interface ServerStreamOwner {
  readonly output: Output
  readonly pen: Pen
  /** True once the connection shall end with the answer that is being written. */
  readonly isDraining: boolean
  /** The answer is complete, or our direction of a tunnel. */
  onResponseOver(stream: ServerStream): void
  /** A 101 was sent: what was read behind the request is the tunnel's. */
  onTunnel(stream: ServerStream): void
  /** The exchange gave up, or handed over what cannot be sent. */
  onGivenUp(stream: ServerStream, isInternal: boolean): void
  setHeld(stream: ServerStream, isHeld: boolean): void
}

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

export class ServerStream implements HttpStream {
  events: StreamEvents = SILENT
  readonly version: '1.0' | '1.1'
  readonly keepsAlive: boolean
  isRequestOver: boolean
  isResponseOver = false
  /** Both halves are over, or the connection is: calls do nothing any more. */
  isOver = false
  hasSentHead = false
  isTunnel = false
  /** The connection ends after this answer. */
  closes: boolean
  endsWithClose = false
  /** The client waits for a 100 before it sends its body. */
  awaitsContinue: boolean
  readonly #owner: ServerStreamOwner
  readonly #isHead: boolean
  readonly #minor: number
  readonly #hasUpgrade: boolean

  constructor(owner: ServerStreamOwner, head: RequestHead) {
    this.#owner = owner
    this.#isHead = head.method === 'HEAD'
    this.#minor = head.minor
    this.#hasUpgrade = head.hasUpgrade
    this.version = head.minor === 1 ? '1.1' : '1.0'
    this.keepsAlive = head.keepsAlive
    this.closes = !head.keepsAlive
    this.isRequestOver = !head.isChunked && head.contentLength <= 0
    this.awaitsContinue = head.expectsContinue && !this.isRequestOver
  }

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.hasSentHead) return
    try {
      const status = Number(fields[fields.indexOf(':status') + 1])
      if (status >= 200) this.#sendFinal(fields, status, end)
      else if (status === 101) this.#sendSwitch(fields)
      else this.#sendInterim(fields, status)
    } catch (error) {
      this.#giveUp(error)
    }
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.isResponseOver || !this.hasSentHead) return true
    try {
      const goOn = this.#owner.pen.body.data(bytes, from, to, end)
      if (end) this.#endResponse()
      return goOn
    } catch (error) {
      this.#giveUp(error)
      return true
    }
  }

  sendTrailers(fields: Fields): void {
    if (this.isOver || this.isResponseOver || !this.hasSentHead) return
    try {
      this.#owner.pen.body.trailers(fields)
      this.#endResponse()
    } catch (error) {
      this.#giveUp(error)
    }
  }

  reset(_code: ResetCode): void {
    if (!this.isOver) this.#owner.onGivenUp(this, false)
  }

  pause(): void {
    this.#owner.setHeld(this, true)
  }

  resume(): void {
    this.#owner.setHeld(this, false)
  }

  #sendFinal(fields: Fields, status: number, end: boolean): void {
    const { output, pen, isDraining } = this.#owner
    // RFC 9110 section 10.1.1: without a 100 it may or may not send its body; what follows could be read in two ways.
    if (isDraining || this.awaitsContinue) this.closes = true
    const facts = { status, isToHead: this.#isHead, minor: this.#minor, closes: this.closes }
    const { text, endsWithClose } = responseHead(pen, fields, end, facts)
    this.endsWithClose = endsWithClose
    if (endsWithClose) this.closes = true
    this.hasSentHead = true
    output.add(text)
    if (!end) return output.flushLater()
    output.flush()
    this.#endResponse()
  }

  /** RFC 9110 section 15.2: never to a client of HTTP/1.0. */
  #sendInterim(fields: Fields, status: number): void {
    if (this.#minor === 0) return
    const text = interimHead(this.#owner.pen, fields, status)
    if (status === 100) this.awaitsContinue = false
    this.#owner.output.add(text)
    this.#owner.output.flush()
  }

  /** RFC 9110 section 7.8: only asked for, and after the whole request. */
  #sendSwitch(fields: Fields): void {
    if (!this.#hasUpgrade || !this.isRequestOver) throw new Unsendable('a 101 that the request does not allow')
    const { output, pen } = this.#owner
    const text = interimHead(pen, fields, 101)
    pen.body.begin('rest')
    this.hasSentHead = this.isTunnel = true
    this.isRequestOver = false
    output.add(text)
    output.flush()
    this.#owner.onTunnel(this)
  }

  #endResponse(): void {
    this.isResponseOver = true
    this.#owner.onResponseOver(this)
  }

  #giveUp(error: unknown): void {
    if (!(error instanceof Unsendable)) throw error
    this.#owner.onGivenUp(this, true)
  }
}
