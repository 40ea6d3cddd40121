// The opening side of an HTTP/1.1 connection: one request at a time, reused while both sides keep it. A byte that no request
// asked for ends it: it would be read as the answer to the next one.
import type { Duplex } from 'node:stream'
import { readDirectly, SHORT_READ_BYTES } from '#flow/direct-read.ts'
import { removeField } from '#flow/fields.ts'
import type { Fields, HttpClientConnection, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { BodyReader } from './body.ts'
import { BodyWriter } from './body-writer.ts'
import type { BodySink } from './chunked.ts'
import { ClientStream } from './client-stream.ts'
import { FieldLines } from './field-lines.ts'
import { INTERIM_LIMIT_BYTES } from './limits.ts'
import { Malformed, malformed } from './malformed.ts'
import { Output } from './output.ts'
import { HeadReader } from './parse.ts'
import { ResponseHead } from './response-head.ts'
import type { StreamOwner } from './sending-stream.ts'
import type { Pen } from './serialize.ts'

const EMPTY = Buffer.alloc(0)

/** Takes over a stream that is connected and silent. After a 101 onData and sendData carry the raw bytes of the tunnel. */
export function connectHttp1(stream: Duplex): HttpClientConnection {
  return new ClientConnection(stream)
}

class ClientConnection implements HttpClientConnection, StreamOwner, BodySink {
  readonly output: Output
  readonly pen: Pen
  onIdle: () => void = () => {}
  onCapacity: () => void = () => {}
  onLeaving: () => void = () => {}
  onGone: () => void = () => {}
  readonly #stream: Duplex
  readonly #head = new ResponseHead()
  readonly #reader = new HeadReader(this.#head)
  readonly #body = new BodyReader(this)
  #current: ClientStream | null = null
  #awaitsHead = false
  #isReading = false
  #isHeld = false
  /** The connection ends with the answer that is being read. */
  #closes = false
  #hasToldLeaving = false
  #isGone = false

  constructor(stream: Duplex) {
    this.#stream = stream
    this.output = new Output(stream)
    this.pen = { lines: new FieldLines(), body: new BodyWriter(this.output) }
    // Each direction of a tunnel ends on its own; everything else closes at the peer's end.
    stream.allowHalfOpen = true
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
    stream.on('drain', () => this.#current?.events.onDrain())
    stream.on('end', () => this.#onEnd())
    const read = (bytes: Buffer) => this.#onData(bytes)
    if (!readDirectly(stream, read, SHORT_READ_BYTES)) stream.on('data', read)
    stream.resume()
    if (stream.closed) process.nextTick(() => this.#onClose())
  }

  get isLeaving(): boolean {
    return this.#closes || this.#isGone || this.#stream.destroyed || this.#stream.readableEnded
  }

  get isIdle(): boolean {
    return this.#current === null && !this.isLeaving
  }

  get capacity(): number {
    return this.isIdle ? 1 : 0
  }

  get active(): number {
    return this.#current === null ? 0 : 1
  }

  open(events: StreamEvents): HttpStream {
    const stream = new ClientStream(this, events)
    if (!this.isIdle) {
      stream.isOver = true
      queueMicrotask(() => stream.events.onReset('closed'))
      return stream
    }
    this.#current = stream
    this.#awaitsHead = true
    return stream
  }

  drain(): void {
    this.#leave()
    if (this.#current === null) this.destroy()
  }

  destroy(): void {
    this.#stream.destroy()
    if (this.#stream.closed) this.#onClose()
  }

  /** No request follows the one in flight. */
  #leave(): void {
    this.#closes = true
    if (this.#hasToldLeaving || this.#current === null) return
    this.#hasToldLeaving = true
    this.onLeaving()
  }

  // ---- reading

  #onData(chunk: Buffer): void {
    const stream = this.#current
    if (stream === null) return this.destroy()
    // Such as the 408 of a server that tires of an idle connection: nothing of ours was read.
    if (!stream.hasSentHead) return this.#fail('closed')
    this.#isReading = true
    try {
      this.#read(chunk)
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      this.#fail('protocol')
    } finally {
      this.#isReading = false
    }
    if (this.#current !== null) this.#settle(this.#current)
  }

  #read(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      const stream = this.#current
      if (stream === null) return
      if (stream.isReceived) {
        this.#leave()
        if (!stream.isSent) this.#fail('protocol')
        return
      }
      if (this.#awaitsHead) {
        at = this.#reader.push(bytes, at)
        if (at < 0) return
        this.#onResponseHead(stream)
      } else at = this.#body.push(bytes, at)
    }
  }

  #onResponseHead(stream: ClientStream): void {
    const head = this.#head
    // Servers differ on whether what follows a request to upgrade, once turned down, is HTTP: nothing follows.
    if (!head.keepsAlive || stream.hasUpgrade) this.#leave()
    if (head.status === 101) return this.#switch(stream)
    if (head.status < 200) return this.#tellInterim(stream)
    this.#awaitsHead = false
    const isBodyless = stream.isHead || head.status === 204 || head.status === 304
    if (!isBodyless) this.#beginBody()
    const end = isBodyless || head.contentLength === 0
    const fields = head.release()
    if (head.status === 204) removeField(fields, 'content-length')
    if (end) this.#endResponse(stream)
    stream.events.onHead(fields, end)
  }

  /** RFC 9112 section 6.3: without either framing the end of the connection is the end of the body. */
  #beginBody(): void {
    const { isChunked, contentLength } = this.#head
    if (isChunked) this.#body.beginChunked()
    else if (contentLength >= 0) this.#body.beginLength(contentLength)
    else {
      this.#body.beginRest()
      this.#leave()
    }
  }

  #tellInterim(stream: ClientStream): void {
    stream.interimBytes += this.#reader.headSize
    if (stream.interimBytes > INTERIM_LIMIT_BYTES) throw malformed('endless 1xx answers')
    removeField(this.#head.fields, 'content-length')
    stream.events.onHead(this.#head.fields, false)
  }

  #switch(stream: ClientStream): void {
    const head = this.#head
    if (!stream.hasUpgrade || !head.hasUpgrade || !stream.isSent) throw malformed('a 101 that nobody asked for')
    removeField(head.fields, 'content-length')
    this.#awaitsHead = false
    this.#leave()
    this.#body.beginRest()
    this.pen.body.begin('rest')
    stream.isTunnel = true
    stream.isSent = false
    stream.events.onHead(head.fields, false)
  }

  onBody(bytes: Buffer, from: number, to: number, end: boolean): void {
    const stream = this.#current as ClientStream
    if (end) this.#endResponse(stream)
    stream.events.onData(bytes, from, to, end)
  }

  onBodyTrailers(fields: Fields): void {
    const stream = this.#current as ClientStream
    this.#endResponse(stream)
    stream.events.onTrailers(fields)
  }

  #endResponse(stream: ClientStream): void {
    stream.isReceived = true
    // The exchange may end in the event that follows: a reset after it must not close what is done.
    if (stream.isSent) stream.isOver = true
  }

  // ---- what the stream of the current request tells

  onSent(stream: ClientStream): void {
    if (stream.isTunnel) this.output.end()
    this.#settle(stream)
  }

  onGivenUp(stream: ClientStream, isInternal: boolean): void {
    if (stream !== this.#current) return
    this.#drop(stream)
    if (isInternal) queueMicrotask(() => stream.events.onReset('internal'))
  }

  setHeld(stream: ClientStream, isHeld: boolean): void {
    if (stream !== this.#current || this.#isHeld === isHeld) return
    if (isHeld && stream.isReceived) return
    this.#isHeld = isHeld
    if (isHeld) this.#stream.pause()
    else this.#stream.resume()
  }

  /** Once both halves are over the connection is free again, or ends. Never while bytes behind the answer may be waiting. */
  #settle(stream: ClientStream): void {
    if (this.#isReading || stream !== this.#current || !stream.isSent || !stream.isReceived) return
    stream.isOver = true
    this.#current = null
    if (this.#isHeld) {
      this.#isHeld = false
      this.#stream.resume()
    }
    // A tunnel closes by itself when both directions are out.
    if (stream.isTunnel) return
    if (this.#closes || this.#stream.readableLength > 0) this.destroy()
    else this.#tellIdle()
  }

  #tellIdle(): void {
    if (this.isIdle) this.onCapacity()
    if (this.isIdle) this.onIdle()
  }

  // ---- the end

  #drop(stream: ClientStream): void {
    stream.isOver = true
    this.#current = null
    this.#closes = true
    this.#body.stop()
    this.destroy()
  }

  #fail(code: ResetCode): void {
    const stream = this.#current
    if (stream === null) return this.destroy()
    this.#drop(stream)
    stream.events.onReset(code)
  }

  #onEnd(): void {
    const stream = this.#current
    if (stream === null) return this.destroy()
    if (!this.#body.isRest) return this.#fail('closed')
    this.#body.stop()
    this.#endResponse(stream)
    stream.events.onData(EMPTY, 0, 0, true)
    this.#settle(stream)
  }

  #onClose(): void {
    if (this.#isGone) return
    this.#isGone = true
    if (this.#current !== null) this.#fail('closed')
    this.onGone()
  }
}
