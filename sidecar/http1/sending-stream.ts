// What the streams of both ends of a connection share: our direction of an exchange is written by the pen of the connection,
// ends once or is given up. Made anew for each request, so that a late call of a former exchange can never touch the next one.
import { Unsendable } from '#flow/error.ts'
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import type { Output } from './output.ts'
import type { Pen } from './serialize.ts'

export interface StreamOwner {
  readonly output: Output
  readonly pen: Pen
  /** Our direction is complete, of a tunnel too. */
  onSent(stream: HttpStream): void
  /** The exchange gave up, or handed over what cannot be sent. */
  onGivenUp(stream: HttpStream, isInternal: boolean): void
  setHeld(stream: HttpStream, isHeld: boolean): void
}

export abstract class SendingStream<Owner extends StreamOwner> implements HttpStream {
  abstract readonly version: HttpStream['version']
  events: StreamEvents
  hasSentHead = false
  /** Our direction is complete. */
  isSent = false
  /** The peer's direction is complete. */
  isReceived = false
  /** Both are, or the connection is over: calls do nothing any more. */
  isOver = false
  isTunnel = false
  protected readonly owner: Owner

  constructor(owner: Owner, events: StreamEvents) {
    this.owner = owner
    this.events = events
  }

  /** Throws Unsendable for what must not go out. */
  protected abstract writeHead(fields: Fields, end: boolean): void

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.hasSentHead) return
    try {
      this.writeHead(fields, end)
    } catch (error) {
      this.#giveUp(error)
    }
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.isSent || !this.hasSentHead) return true
    try {
      const goOn = this.owner.pen.body.data(bytes, from, to, end)
      if (end) this.#endSending()
      return goOn
    } catch (error) {
      this.#giveUp(error)
      return true
    }
  }

  sendTrailers(fields: Fields): void {
    if (this.isOver || this.isSent || !this.hasSentHead) return
    try {
      this.owner.pen.body.trailers(fields)
      this.#endSending()
    } catch (error) {
      this.#giveUp(error)
    }
  }

  reset(_code: ResetCode): void {
    if (!this.isOver) this.owner.onGivenUp(this, false)
  }

  pause(): void {
    this.owner.setHeld(this, true)
  }

  resume(): void {
    this.owner.setHeld(this, false)
  }

  /** For a final head: its bytes go out with the first of the body, or now if nothing follows. */
  protected sendFinalHead(text: string, end: boolean): void {
    const { output } = this.owner
    this.hasSentHead = true
    output.add(text)
    if (!end) return output.flushLater()
    output.flush()
    this.#endSending()
  }

  #endSending(): void {
    this.isSent = true
    this.owner.onSent(this)
  }

  #giveUp(error: unknown): void {
    if (!(error instanceof Unsendable)) throw error
    this.owner.onGivenUp(this, true)
  }
}
