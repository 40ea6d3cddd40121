// The accepting side of an HTTP/1.1 connection: requests one after the other, each answered before the next is read.
// Invariants: one exchange at a time; bytes behind a request wait in #stash with the socket paused; after #isClosing all that
// still arrives is thrown away.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { readDirectly, SHORT_READ_BYTES } from '#flow/direct-read.ts'
import { lingerThenDestroy } from '#flow/linger.ts'
import { refusalText } from '#flow/refusal.ts'
import { resetSocket } from '#flow/reset.ts'
import type { Fields, HttpServerConnection, HttpServerOptions } from '#flow/stream.ts'
import { type Clock, systemClock } from '#shared/clock.ts'
import { BodyReader } from './body.ts'
import { BodyWriter } from './body-writer.ts'
import type { BodySink } from './chunked.ts'
import { FieldLines } from './field-lines.ts'
import { HEAD_TIMEOUT_MS } from './limits.ts'
import { Malformed } from './malformed.ts'
import { Output } from './output.ts'
import { HeadReader } from './parse.ts'
import { RequestHead } from './request-head.ts'
import type { Pen } from './serialize.ts'
import { ServerStream, type ServerStreamOwner } from './server-stream.ts'

const EMPTY = Buffer.alloc(0)

/**
 * Serves HTTP/1.1 and 1.0 on the stream until it closes. `head` is what was read before and comes first. An upgrade request
 * has the field Upgrade and ends as any other; once it is answered with 101, onData and sendData carry the raw bytes.
 */
export function serveHttp1(
  stream: Duplex,
  head: Uint8Array | null,
  options: HttpServerOptions,
  clock: Clock = systemClock,
): HttpServerConnection {
  return new ServerConnection(stream, head, options, clock)
}

class ServerConnection implements HttpServerConnection, ServerStreamOwner, BodySink {
  readonly output: Output
  readonly pen: Pen
  isDraining = false
  #closesIdle = false
  readonly #stream: Duplex
  readonly #options: HttpServerOptions
  readonly #clock: Clock
  readonly #head = new RequestHead()
  readonly #reader = new HeadReader(this.#head)
  readonly #body = new BodyReader(this)
  #current: ServerStream | null = null
  #stash: Buffer | null = null
  #isReading = false
  #isHeld = false
  #isPaused = false
  #isClosing = false
  #isClosed = false
  /** False while `head` has not been read. */
  #isStarted = false
  #cancelHeadTimer: (() => void) | null = null
  #cancelLinger: (() => void) | null = null

  constructor(stream: Duplex, head: Uint8Array | null, options: HttpServerOptions, clock: Clock) {
    this.#stream = stream
    this.#options = options
    this.#clock = clock
    this.output = new Output(stream)
    this.pen = { lines: new FieldLines(), body: new BodyWriter(this.output) }
    // Each direction of a tunnel ends on its own, and a last request may be answered after its client's end.
    stream.allowHalfOpen = true
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
    stream.on('drain', () => this.#onDrain())
    // The caller has its connection before the first request reaches it.
    process.nextTick(() => this.#start(head))
  }

  get active(): number {
    return this.#current === null ? 0 : 1
  }

  closeAfterNext(): void {
    this.isDraining = true
  }

  drain(): void {
    this.isDraining = true
    this.#closesIdle = true
    if (this.#isStarted) this.#closeIfIdle()
  }

  destroy(): void {
    this.#stream.destroy()
    if (this.#stream.closed) this.#onClose()
  }

  // ---- reading

  #start(head: Uint8Array | null): void {
    const stream = this.#stream
    if (stream.destroyed) return this.#onClose()
    if (head !== null && head.length > 0) this.#read(Buffer.from(head.buffer, head.byteOffset, head.length))
    this.#isStarted = true
    if (stream.readableEnded) return this.#onEnd()
    if (this.#closesIdle) this.#closeIfIdle()
    const read = (bytes: Buffer) => this.#onData(bytes)
    if (!readDirectly(stream, read, SHORT_READ_BYTES)) stream.on('data', read)
    stream.on('end', () => this.#onEnd())
    if (!this.#isPaused) stream.resume()
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosing) return
    if (this.#stash !== null) {
      this.#stash = Buffer.concat([this.#stash, chunk])
      return
    }
    this.#read(chunk)
    // The bytes are valid during the call only.
    if (this.#stash !== null) this.#stash = Buffer.from(this.#stash)
  }

  #read(bytes: Buffer): void {
    this.#isReading = true
    try {
      this.#readMessages(bytes)
    } catch (error) {
      if (!(error instanceof Malformed)) throw error
      this.#refuse(error)
    } finally {
      this.#isReading = false
    }
    this.#watchHead()
    this.#updateFlow()
  }

  #readMessages(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length && this.#isReady) {
      at = this.#current === null ? this.#readHead(bytes, at) : this.#body.push(bytes, at)
    }
    if (at < bytes.length && !this.#isClosing) this.#stash = at === 0 ? bytes : bytes.subarray(at)
  }

  /** Whether the next byte can be taken: never a further request before the answer, or while answers are not read. */
  get #isReady(): boolean {
    if (this.#isClosing) return false
    return this.#current === null ? !this.output.isFull : !this.#body.isOver
  }

  #readHead(bytes: Buffer, from: number): number {
    const at = this.#reader.push(bytes, from)
    if (at < 0) return bytes.length
    this.#dispatch()
    return at
  }

  #readStash(): void {
    const bytes = this.#stash
    if (bytes === null || this.#isClosing) return
    this.#stash = null
    this.#read(bytes)
  }

  #dispatch(): void {
    const head = this.#head
    const stream = new ServerStream(this, head)
    const fields = head.release()
    this.#current = stream
    if (head.isChunked) this.#body.beginChunked()
    else if (head.contentLength > 0) this.#body.beginLength(head.contentLength)
    this.#options.accept(stream)
    if (!stream.isOver) stream.events.onHead(fields, stream.isReceived)
  }

  /** Only a head has a time limit, and only one that has begun. */
  #watchHead(): void {
    const isPartial = this.#reader.isPartial && !this.#isClosing && this.#current === null
    if (isPartial === (this.#cancelHeadTimer !== null)) return
    if (!isPartial) return this.#stopHeadTimer()
    this.#cancelHeadTimer = this.#clock.after(HEAD_TIMEOUT_MS, () => {
      this.#cancelHeadTimer = null
      this.#refuse(new Malformed('HEAD_TIMEOUT', 'no complete head within 10 seconds of its first byte'))
    })
  }

  #stopHeadTimer(): void {
    this.#cancelHeadTimer?.()
    this.#cancelHeadTimer = null
  }

  #updateFlow(): void {
    const isPaused = (this.#isHeld || this.#stash !== null) && !this.#isClosing
    if (isPaused === this.#isPaused) return
    this.#isPaused = isPaused
    if (isPaused) this.#stream.pause()
    else this.#stream.resume()
  }

  // ---- what the body reader finds

  onBody(bytes: Buffer, from: number, to: number, end: boolean): void {
    const stream = this.#current as ServerStream
    stream.awaitsContinue = false
    if (end) this.#endRequest(stream)
    stream.events.onData(bytes, from, to, end)
    if (end) this.#settle(stream)
  }

  onBodyTrailers(fields: Fields): void {
    const stream = this.#current as ServerStream
    this.#endRequest(stream)
    stream.events.onTrailers(fields)
    this.#settle(stream)
  }

  #endRequest(stream: ServerStream): void {
    stream.isReceived = true
    this.#isHeld = false
    // The exchange may end in this very event: a reset after it must not close what is done.
    if (stream.isSent) stream.isOver = true
  }

  // ---- what the stream of the current request tells

  onSent(stream: ServerStream): void {
    if (stream.isTunnel) this.output.end()
    this.#settle(stream)
  }

  onTunnel(_stream: ServerStream): void {
    this.#body.beginRest()
    // Not within the call that sent the 101: its caller is not ready for the other side to speak.
    if (this.#stash !== null) process.nextTick(() => this.#readStash())
  }

  onGivenUp(stream: ServerStream, isInternal: boolean): void {
    if (stream !== this.#current) return
    stream.isOver = true
    this.#body.stop()
    this.#current = null
    if (isInternal) queueMicrotask(() => stream.events.onReset('internal'))
    if (stream.isSent && !stream.isTunnel) this.#close()
    else this.#abort(stream)
  }

  setHeld(stream: ServerStream, isHeld: boolean): void {
    if (stream !== this.#current || this.#isHeld === isHeld) return
    // While nothing more of the request can come, reading goes on: it is how a client that leaves is noticed.
    if (isHeld && stream.isReceived) return
    this.#isHeld = isHeld
    if (!this.#isReading) this.#updateFlow()
  }

  /** Ends the exchange once both halves are over, and goes on to the next request. */
  #settle(stream: ServerStream): void {
    if (stream !== this.#current) return
    if (stream.isSent && stream.closes && !stream.isTunnel) return this.#finishLast(stream)
    if (!stream.isSent || !stream.isReceived) return
    stream.isOver = true
    this.#current = null
    this.#isHeld = false
    if (stream.isTunnel) this.#isClosing = true
    else if (this.isDraining && this.#stash === null) this.#close()
    else if (!this.#isReading) {
      this.#readStash()
      this.#updateFlow()
    }
  }

  /** The last answer is out: a body that still comes is told until the peer ends or the time to linger is over. */
  #finishLast(stream: ServerStream): void {
    if (stream.isReceived) {
      stream.isOver = true
      this.#current = null
      return this.#close()
    }
    if (this.#cancelLinger !== null) return
    this.#isHeld = false
    this.#updateFlow()
    this.output.end()
    this.#cancelLinger = lingerThenDestroy(this.#stream, this.#clock)
  }

  // ---- the end

  #refuse(error: Malformed): void {
    const stream = this.#current
    this.#current = null
    this.#body.stop()
    this.#stopHeadTimer()
    this.#options.onRefused(error.code, error.detail)
    if (stream === null || !stream.hasSentHead) {
      this.output.add(refusalText(error.code, error.detail))
      this.#close()
    } else if (stream.isSent) this.#close()
    else this.#abort(stream)
    if (stream === null || stream.isOver) return
    stream.isOver = true
    stream.events.onReset('protocol')
  }

  #closeIfIdle(): void {
    if (this.#current === null && !this.#reader.isPartial && this.#stash === null) this.#close()
  }

  /** Ends our side, and the connection once the peer has ended its own. */
  #close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#stash = null
    this.#isHeld = false
    this.#stopHeadTimer()
    this.output.end()
    this.#cancelLinger ??= lingerThenDestroy(this.#stream, this.#clock)
    this.#isPaused = false
    this.#stream.resume()
  }

  /** Cut off in the middle. An answer that only the close would end must not look complete: it needs a reset. */
  #abort(stream: ServerStream): void {
    this.#isClosing = true
    const socket = this.#stream
    if (stream.endsWithClose && socket instanceof Socket && !('encrypted' in socket)) resetSocket(socket)
    else socket.destroy()
  }

  #onEnd(): void {
    const stream = this.#current
    if (this.#isClosing) return
    if (stream === null) return this.#close()
    if (stream.isTunnel) {
      stream.isReceived = true
      this.#body.stop()
      stream.events.onData(EMPTY, 0, 0, true)
      return this.#settle(stream)
    }
    // Ending one's half is how clients leave. Only one that has said that this is its last request may just have no more to say.
    if (stream.isReceived && !stream.keepsAlive) return
    this.#stream.destroy()
  }

  #onDrain(): void {
    if (this.#current !== null) this.#current.events.onDrain()
    else if (!this.#isReading) {
      this.#readStash()
      this.#updateFlow()
    }
  }

  #onClose(): void {
    if (this.#isClosed) return
    this.#isClosed = this.#isClosing = true
    this.#stopHeadTimer()
    this.#cancelLinger?.()
    this.#body.stop()
    const stream = this.#current
    this.#current = null
    if (stream !== null && !stream.isOver) {
      stream.isOver = true
      stream.events.onReset('closed')
    }
    this.#options.onClose()
  }
}
