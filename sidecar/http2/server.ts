// The accepting side of an HTTP/2 connection, with prior knowledge or after ALPN (RFC 9113 section 3).
import type { Duplex } from 'node:stream'
import { Deadlines } from '#flow/deadlines.ts'
import { readDirectly } from '#flow/direct-read.ts'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { Fields, HttpServerConnection, HttpServerOptions } from '#flow/stream.ts'
import { type Clock, systemClock } from '#shared/clock.ts'
import type { Bucket } from './bucket.ts'
import type { Http2Options } from './connection.ts'
import { ConnectionFault, protocolError } from './faults.ts'
import { writeFields } from './field-block.ts'
import { writeGoaway } from './frames.ts'
import {
  DRAIN_ROUND_TRIP_MS,
  HEAD_TIMEOUT_MS,
  LINGER_LIMIT_BYTES,
  POSTPONED_MS,
  STREAM_LIMIT,
  UNREAD_LIMIT_BYTES,
} from './limits.ts'
import { Postponed } from './postponed.ts'
import {
  ENHANCE_YOUR_CALM,
  LAST_STREAM_ID,
  NO_ERROR,
  PREFACE,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  STREAM_CLOSED,
} from './protocol.ts'
import { type ManyResets, Resets, SLOWED_MS } from './resets.ts'
import { ServerStream } from './server-stream.ts'
import { Session } from './session.ts'
import { serverSettings } from './settings.ts'
import type { Stream } from './stream.ts'

export interface Http2ServerOptions extends HttpServerOptions, Http2Options {
  /** Streams that the client may have open at once. Default 100. */
  readonly streamLimit?: number
  /** What too many resets lead to. Default: the connection ends. */
  readonly manyResets?: ManyResets
  /** The count of all connections that have the source of this one. */
  readonly resetSource?: Bucket
}

/** Serves HTTP/2 on the stream until it closes. `head` is what was read before (of the preface, too) and comes first. */
export function serveHttp2(
  stream: Duplex,
  head: Uint8Array | null,
  options: Http2ServerOptions,
  clock: Clock = systemClock,
): HttpServerConnection {
  return new ServerSession(stream, head, options, clock)
}

class ServerSession extends Session implements HttpServerConnection {
  readonly #stream: Duplex
  readonly #options: Http2ServerOptions
  readonly #streamLimit: number
  readonly #resets: Resets
  #postponed: Deadlines<Postponed> | null = null
  #lastId = 0
  /** Of the preface, what has come. */
  #prefaceBytes = 0
  #thrownAwayBytes = 0
  #drainsAtNext = false
  #isDraining = false
  /** The last GOAWAY is out: later streams are not looked at. */
  #isFinal = false
  #isStarted = false
  #cancelHeadTimer: (() => void) | null = null

  constructor(stream: Duplex, head: Uint8Array | null, options: Http2ServerOptions, clock: Clock) {
    super(stream, options, clock)
    this.#stream = stream
    this.#options = options
    this.#streamLimit = options.streamLimit ?? STREAM_LIMIT
    this.#resets = new Resets(options.manyResets ?? 'end', options.resetSource ?? null, clock)
    // The caller has its connection before the first request reaches it.
    process.nextTick(() => this.#start(head))
  }

  protected get lastStreamId(): number {
    return this.#lastId
  }

  // ---- reading

  #start(head: Uint8Array | null): void {
    const stream = this.#stream
    if (stream.destroyed) return this.destroy()
    this.#isStarted = true
    this.begin(serverSettings(this.#streamLimit, this.firstWindowBytes))
    if (this.#isDraining) this.#beginDrain()
    if (head !== null) this.#read(Buffer.from(head.buffer, head.byteOffset, head.length))
    if (!readDirectly(stream, (bytes) => this.#read(bytes))) stream.on('data', (chunk: Buffer) => this.#read(chunk))
    stream.on('end', () => this.onEnd())
    if (stream.readableEnded) return this.onEnd()
    if (!this.intake.isHeld) stream.resume()
  }

  #read(bytes: Buffer): void {
    if (this.isClosing) return this.#throwAway(bytes.length)
    const from = this.#readPreface(bytes)
    if (from < bytes.length) this.readFrames(bytes, from)
  }

  protected override onRead(): void {
    this.#watchHead()
    this.#holdWhileUnread()
  }

  /** Who sends more than could be on its way when we ended our side does not listen: not read until it is over, it costs nothing. */
  #throwAway(sizeBytes: number): void {
    this.#thrownAwayBytes += sizeBytes
    if (this.#thrownAwayBytes > LINGER_LIMIT_BYTES) this.#stream.pause()
  }

  #readPreface(bytes: Buffer): number {
    const have = this.#prefaceBytes
    if (have === PREFACE.length) return 0
    const size = Math.min(bytes.length, PREFACE.length - have)
    if (!bytes.subarray(0, size).equals(PREFACE.subarray(have, have + size))) {
      this.fail(protocolError('a preface other than that of HTTP/2'))
      return bytes.length
    }
    this.#prefaceBytes += size
    return size
  }

  /** Only a head has a time limit, and only one that has begun; the preface has that of our SETTINGS' acknowledgement. */
  #watchHead(): void {
    const isPartial = this.isHeadPartial && !this.isClosing
    if (isPartial === (this.#cancelHeadTimer !== null)) return
    if (!isPartial) return this.#stopHeadTimer()
    this.#cancelHeadTimer = this.clock.after(HEAD_TIMEOUT_MS, () => {
      this.#cancelHeadTimer = null
      const detail = 'no complete head within 10 seconds of its first byte'
      this.fail(new ConnectionFault(ENHANCE_YOUR_CALM, detail, 'HEAD_TIMEOUT'))
    })
  }

  #stopHeadTimer(): void {
    this.#cancelHeadTimer?.()
    this.#cancelHeadTimer = null
  }

  /** A client that reads nothing is not read from: its frames would only make more that waits for it. */
  #holdWhileUnread(): void {
    if (this.isClosing || this.output.pendingBytes < UNREAD_LIMIT_BYTES || !this.output.isFull) return
    this.intake.hold('unread')
  }

  protected override onDrain(): void {
    this.intake.release('unread')
    super.onDrain()
  }

  // ---- requests

  onBlock(streamId: number, end: boolean, bytes: Buffer, from: number, to: number): void {
    if (streamId % 2 === 0) throw protocolError('a client that opens a stream of an even number')
    const stream = this.streams.get(streamId)
    if (stream !== undefined) return this.#onTrailers(stream, end, bytes, from, to)
    const isGood = this.decode('request', bytes, from, to)
    if (streamId <= this.#lastId) {
      if (this.resets.has(streamId)) return
      throw new ConnectionFault(STREAM_CLOSED, 'HEADERS on a stream that is over')
    }
    this.#lastId = streamId
    if (this.#isFinal) return this.resets.add(streamId)
    if (this.streams.size >= this.#streamLimit) {
      this.resetStream(streamId, REFUSED_STREAM)
      return this.onGivenUp(this.clock.now())
    }
    if (isGood) this.#accept(streamId, end)
    else this.#refuse(streamId, end)
  }

  #accept(streamId: number, end: boolean): void {
    const { section } = this
    const stream = new ServerStream(this, streamId, this.peerSettings.initialWindowBytes)
    stream.bornAt = this.clock.now()
    stream.isReceived = end
    if (end && section.contentLength > 0)
      return this.onStreamFault(streamId, PROTOCOL_ERROR, 'a Content-Length without its body')
    stream.bodyLeft = section.contentLength
    this.streams.set(streamId, stream)
    const fields = section.release()
    if (this.#drainsAtNext) this.drain()
    if (this.#resets.isPostponing) this.#postpone(stream)
    else this.#options.accept(stream)
    if (!stream.isOver) stream.events.onHead(fields, end)
  }

  #postpone(stream: Stream): void {
    this.#postponed ??= new Deadlines(POSTPONED_MS, this.clock, (postponed) => postponed.begin())
    const deadlines = this.#postponed
    const postponed = new Postponed(stream, { accept: this.#options.accept, onGone: (gone) => deadlines.stop(gone) })
    stream.events = postponed
    deadlines.start(postponed)
  }

  #onTrailers(stream: Stream, end: boolean, bytes: Buffer, from: number, to: number): void {
    const isGood = this.decode('trailers', bytes, from, to)
    const { id } = stream
    if (stream.isReceived) return this.onStreamFault(id, STREAM_CLOSED, 'HEADERS behind the end of their stream')
    if (!end) return this.onStreamFault(id, PROTOCOL_ERROR, 'a second head that is no trailers')
    if (!isGood) return this.onStreamFault(id, PROTOCOL_ERROR, this.section.fault ?? '')
    if (stream.bodyLeft > 0) return this.onStreamFault(id, PROTOCOL_ERROR, 'a body shorter than its Content-Length')
    this.endReceiving(stream)
    stream.events.onTrailers(this.section.release())
    if (stream.isOver) this.onStreamGone()
  }

  /** RFC 9113 section 8.1.1 allows an answer before the reset; it tells the client what was wrong. */
  #refuse(streamId: number, end: boolean): void {
    const { code, fault } = this.section
    const { status, text } = FAULTS[code]
    const body = Buffer.from(`${code}: ${text}: ${fault}\n`, 'latin1')
    const head: Fields = [':status', String(status), 'content-type', 'text/plain; charset=utf-8']
    head.push('content-length', String(body.length), 'x-weft-reason', code)
    const answer = new ServerStream(this, streamId, this.peerSettings.initialWindowBytes)
    writeFields(this.output, this.encoder, streamId, head, body.length > answer.sendWindow)
    if (body.length <= answer.sendWindow && body.length <= this.scheduler.sendWindow)
      this.scheduler.write(answer, body, 0, body.length, true)
    this.#options.onRefused(code, fault ?? '')
    if (code === 'BAD_REQUEST') this.resetStream(streamId, PROTOCOL_ERROR)
    else if (!end) this.resetStream(streamId, NO_ERROR)
    else this.resets.add(streamId)
    this.onGivenUp(this.clock.now())
  }

  protected override onGivenUp(bornAt: number): void {
    if (this.#resets.count(bornAt)) this.slowDown(SLOWED_MS)
  }

  override onComplete(stream: Stream): void {
    this.#resets.onAnswered()
    super.onComplete(stream)
  }

  override giveUp(stream: Stream, error: number): void {
    // Section 8.1: all was answered, the client need not send the rest.
    super.giveUp(stream, stream.isSent ? NO_ERROR : error)
  }

  protected isIdleId(streamId: number): boolean {
    return streamId > this.#lastId || streamId % 2 === 0
  }

  protected mayReceiveData(): boolean {
    return true
  }

  protected onRefusal(code: FaultCode, detail: string): void {
    this.#options.onRefused(code, detail)
  }

  // ---- the end

  closeAfterNext(): void {
    this.#drainsAtNext = true
    if (this.active > 0) this.drain()
  }

  drain(): void {
    this.#drainsAtNext = false
    if (this.#isDraining) return
    this.#isDraining = true
    // Before the preface is answered there is nothing to write to; #start will.
    if (this.#isStarted) this.#beginDrain()
  }

  /** Section 6.8: first one that refuses nothing, since requests may be on their way; the last once the client has seen it. */
  #beginDrain(): void {
    if (this.isClosing) return
    writeGoaway(this.output, LAST_STREAM_ID, NO_ERROR)
    this.pings.markNow(DRAIN_ROUND_TRIP_MS, () => {
      this.#isFinal = true
      writeGoaway(this.output, this.#lastId, NO_ERROR)
      this.onStreamGone()
    })
  }

  /** The client goes; its last requests are still answered, and it closes. */
  onGoaway(): void {}

  protected onStreamGone(): void {
    if (this.#isFinal && this.active === 0) this.close()
  }

  protected onClosed(): void {
    this.#stopHeadTimer()
    this.#postponed?.clear()
    this.#options.onClose()
  }
}
