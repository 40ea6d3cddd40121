// One request and its answer as node:http has them. Both halves end once; a stream whose halves have ended ignores late calls.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { sameName } from '#flow/fields.ts'
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { isWithoutBody, pairsOf, trailersOf, unframed } from './message-fields.ts'
import { hasBody } from './request-fields.ts'
import { isAnswer } from './sendable.ts'

export interface ServerStreamOwner {
  /** Both halves are over, or the connection is to be closed. */
  onOver(stream: ServerStream, closes: boolean): void
  /** Answered in full, and the body that a 100 would have brought does not come: the connection is to end. */
  onUnread(stream: ServerStream): void
  /** The request turned out to break the rules. */
  onBadTrailers(): void
}

const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }
const EMPTY = Buffer.alloc(0)

export class ServerStream implements HttpStream {
  events: StreamEvents = SILENT
  readonly version: '1.0' | '1.1'
  isReceived: boolean
  isSent = false
  isOver = false
  hasSentHead = false
  /** Only the close ends the answer, so that a plain one would make a part look like all of it. */
  endsWithClose = false
  readonly #owner: ServerStreamOwner
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  /** Bytes of the answer's body that are still to be sent; -1: no length was declared. */
  #left = -1
  /** Likewise of the request's, still to come. */
  #toCome: number
  /** The client waits for a 100 before it sends its body. */
  #awaitsContinue: boolean

  constructor(owner: ServerStreamOwner, request: IncomingMessage, response: ServerResponse) {
    this.#owner = owner
    this.#request = request
    this.#response = response
    this.version = request.httpVersion === '1.0' ? '1.0' : '1.1'
    this.isReceived = !hasBody(request)
    this.#toCome = Number(request.headers['content-length'] ?? -1)
    this.#awaitsContinue = !this.isReceived && request.headers.expect?.toLowerCase() === '100-continue'
    response.sendDate = false
    response.on('drain', () => this.events.onDrain())
  }

  /** Tells the head, and then the body as it comes. */
  start(fields: Fields): void {
    this.events.onHead(fields, this.isReceived)
    const request = this.#request
    if (this.isReceived) {
      request.resume()
      return
    }
    request.on('data', (chunk: Buffer) => this.#onRequestData(chunk))
    request.on('end', () => this.#onRequestEnd())
  }

  #onRequestData(chunk: Buffer): void {
    if (this.isOver) return
    if (this.#toCome >= 0) this.#toCome -= chunk.length
    this.#awaitsContinue = false
    if (this.#toCome === 0) this.isReceived = true
    this.events.onData(chunk, 0, chunk.length, this.isReceived)
    this.#settle()
  }

  #onRequestEnd(): void {
    if (this.isReceived) return
    const trailers = trailersOf(this.#request.rawTrailers)
    if (trailers === null) return this.#owner.onBadTrailers()
    this.isReceived = true
    if (trailers.length > 0) this.events.onTrailers(trailers)
    else this.events.onData(EMPTY, 0, 0, true)
    this.#settle()
  }

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.hasSentHead) return
    const status = Number(fields[fields.indexOf(':status') + 1])
    const isBodyless = isWithoutBody(status, this.#request.method)
    if (status === 101 || !isAnswer(fields, end && !isBodyless)) return this.#giveUpInternally()
    if (status < 200) return this.#sendInterim(status, fields)
    this.hasSentHead = true
    const { fields: raw, length } = unframed(fields)
    if (!isBodyless) this.#frame(raw, end ? '0' : length)
    else if (length !== undefined && status !== 204) raw.push('Content-Length', length)
    this.#writeHead(status, raw)
    if (end) this.#end()
    else this.#response.flushHeaders()
  }

  #frame(raw: string[], length: string | undefined): void {
    this.#left = Number(length ?? -1)
    if (length !== undefined) raw.push('Content-Length', length)
    else if (this.version === '1.0') this.endsWithClose = true
  }

  #writeHead(status: number, raw: string[]): void {
    const response = this.#response
    // RFC 9110 section 10.1.1: without a 100 it may or may not send its body; what follows could be read in two ways.
    if (this.#awaitsContinue || this.endsWithClose) response.shouldKeepAlive = false
    // Node shall write none of its own.
    response.removeHeader('connection')
    if (!response.shouldKeepAlive) raw.push('Connection', 'close')
    else if (this.version === '1.0') raw.push('Connection', 'keep-alive')
    response.writeHead(status, raw)
  }

  /** Node writes those that it knows; others say nothing that a client must have (RFC 9110 section 15.2). */
  #sendInterim(status: number, fields: Fields): void {
    if (this.version === '1.0') return
    const link = fields.flatMap((name, i) => (i % 2 === 0 && sameName(name, 'link') ? [fields[i + 1] ?? ''] : []))
    if (status === 100) this.#awaitsContinue = false
    if (status === 100) this.#response.writeContinue()
    else if (status === 102) this.#response.writeProcessing()
    else if (status === 103 && link.length > 0) this.#hint(link)
  }

  /** Node throws on links that it does not like, such as two in one field; a hint may be left out. */
  #hint(link: string[]): void {
    try {
      this.#response.writeEarlyHints({ link })
    } catch {}
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.isSent || !this.hasSentHead) return true
    if (this.#isTooMuch(to - from)) {
      this.#giveUpInternally()
      return true
    }
    const goOn = to === from || this.#response.write(Buffer.from(bytes.subarray(from, to)))
    if (end) this.#end()
    return goOn
  }

  /** Bytes beyond the declared length would be read as the next answer. */
  #isTooMuch(sizeBytes: number): boolean {
    if (this.#left < 0) return false
    this.#left -= sizeBytes
    return this.#left < 0
  }

  sendTrailers(fields: Fields): void {
    if (this.isOver || this.isSent || !this.hasSentHead) return
    if (this.#response.chunkedEncoding) this.#response.addTrailers(pairsOf(fields))
    this.#end()
  }

  #end(): void {
    if (this.#left > 0 && this.#request.method !== 'HEAD') return this.#giveUpInternally()
    this.isSent = true
    this.#response.end()
    this.#settle()
  }

  #giveUpInternally(): void {
    this.isOver = true
    queueMicrotask(() => this.events.onReset('internal'))
    this.#owner.onOver(this, true)
  }

  reset(_code: ResetCode): void {
    if (this.isOver) return
    this.isOver = true
    this.#owner.onOver(this, true)
  }

  pause(): void {
    if (!this.isOver && !this.isReceived) this.#request.pause()
  }

  resume(): void {
    if (!this.isOver) this.#request.resume()
  }

  /** The connection has gone. */
  onClosed(): void {
    if (this.isOver) return
    this.isOver = true
    this.events.onReset('closed')
  }

  #settle(): void {
    if (this.isOver || !this.isSent) return
    const closes = this.#awaitsContinue
    if (!this.isReceived && !closes) return
    if (closes) return this.#owner.onUnread(this)
    this.isOver = true
    this.#owner.onOver(this, false)
  }
}
