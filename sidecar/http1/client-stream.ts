// One request and its answer on a client connection. Made anew for each request, so that a late call of a former exchange
// can never touch the next one.
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { Unsendable } from './field-lines.ts'
import type { Output } from './output.ts'
import { type Pen, requestHead } from './serialize.ts'

export interface ClientStreamOwner {
  readonly output: Output
  readonly pen: Pen
  /** The request is complete, or our direction of a tunnel. */
  onRequestOver(stream: ClientStream): void
  /** The exchange gave up, or handed over what cannot be sent. */
  onGivenUp(stream: ClientStream, isInternal: boolean): void
  setHeld(stream: ClientStream, isHeld: boolean): void
}

export class ClientStream implements HttpStream {
  events: StreamEvents
  readonly version = '1.1'
  hasSentHead = false
  isRequestOver = false
  isResponseOver = false
  isOver = false
  isTunnel = false
  isHead = false
  hasUpgrade = false
  /** Bytes of 1xx heads so far. */
  interimBytes = 0
  readonly #owner: ClientStreamOwner

  constructor(owner: ClientStreamOwner, events: StreamEvents) {
    this.#owner = owner
    this.events = events
  }

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.hasSentHead) return
    const { output, pen } = this.#owner
    try {
      const text = requestHead(pen, fields, end)
      this.hasSentHead = true
      this.isHead = text.startsWith('HEAD ')
      this.hasUpgrade = pen.lines.hasUpgrade
      output.add(text)
      if (!end) return output.flushLater()
      output.flush()
      this.#endRequest()
    } catch (error) {
      this.#giveUp(error)
    }
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.isRequestOver || !this.hasSentHead) return true
    try {
      const goOn = this.#owner.pen.body.data(bytes, from, to, end)
      if (end) this.#endRequest()
      return goOn
    } catch (error) {
      this.#giveUp(error)
      return true
    }
  }

  sendTrailers(fields: Fields): void {
    if (this.isOver || this.isRequestOver || !this.hasSentHead) return
    try {
      this.#owner.pen.body.trailers(fields)
      this.#endRequest()
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

  #endRequest(): void {
    this.isRequestOver = true
    this.#owner.onRequestOver(this)
  }

  #giveUp(error: unknown): void {
    if (!(error instanceof Unsendable)) throw error
    this.#owner.onGivenUp(this, true)
  }
}
