// What both ends of a connection share: its streams, flow control, SETTINGS, PINGs, counters against abuse, and the end.
// Invariants: a stream is in #streams exactly while !isOver; after isClosing nothing is read; every DATA byte is refunded to the
// connection when it comes and to its stream when it was delivered.
import type { Duplex } from 'node:stream'
import { Deadlines } from '#flow/deadlines.ts'
import type { FaultCode } from '#flow/error.ts'
import { lingerThenDestroy } from '#flow/linger.ts'
import type { ResetCode } from '#flow/stream.ts'
import type { Clock } from '#shared/clock.ts'
import { Abuse, type AbuseKind } from './abuse.ts'
import { ConnectionWindow } from './connection-window.ts'
import { ConnectionFault, compressionError, flood, flowError, protocolError } from './faults.ts'
import { travels } from './field-block.ts'
import { FrameReader } from './frame-reader.ts'
import { writeGoaway, writePing, writeReset, writeSettings } from './frames.ts'
import { HpackDecoder, HpackError } from './hpack/decode.ts'
import { HpackEncoder } from './hpack/encode.ts'
import { type FrameMeaning, Incoming } from './incoming.ts'
import { Pings } from './keepalive.ts'
import { CONNECTION_WINDOW_BYTES, SETTINGS_TIMEOUT_MS, STARVED_LIMIT_MS, STREAM_WINDOW_BYTES } from './limits.ts'
import { Output } from './output.ts'
import {
  ACK,
  CANCEL,
  ENHANCE_YOUR_CALM,
  FLOW_CONTROL_ERROR,
  HEADERS,
  PROTOCOL_ERROR,
  REFUSED_STREAM,
  SETTINGS_TIMEOUT,
  STREAM_CLOSED,
  WINDOW_LIMIT_BYTES,
} from './protocol.ts'
import { ResetIds } from './reset-ids.ts'
import { Scheduler } from './scheduler.ts'
import { Section, type SectionKind } from './section.ts'
import { PeerSettings, type Settings } from './settings.ts'
import type { Stream, StreamOwner } from './stream.ts'

export interface Http2Options {
  /** Of each stream: what its peer may send beyond what was delivered. Default 64 KiB. */
  readonly windowBytes?: number
  /** Of the connection, refunded on receipt. Default 1 MiB. */
  readonly connectionWindowBytes?: number
  /** An authenticated peer of the mesh: many resets throttle it and never close the connection. Default false. */
  readonly trusted?: boolean
  /** A PING whenever nothing came for that long; two without an answer end the connection. Default: none. */
  readonly keepaliveMs?: number
}

export abstract class Session implements FrameMeaning, StreamOwner {
  readonly output: Output
  readonly encoder = new HpackEncoder(travels)
  readonly scheduler: Scheduler
  readonly windowBytes: number
  protected readonly clock: Clock
  protected readonly peerSettings = new PeerSettings()
  protected readonly section: Section
  protected readonly streams = new Map<number, Stream>()
  protected readonly pings: Pings
  /** Nothing that comes is read any more. */
  protected isClosing = false
  protected isClosed = false
  readonly #stream: Duplex
  readonly #isTrusted: boolean
  readonly #window: ConnectionWindow
  readonly #incoming = new Incoming(this)
  readonly #reader = new FrameReader(this.#incoming)
  readonly #decoder = new HpackDecoder()
  readonly #abuse: Abuse
  readonly #starved: Deadlines<Stream>
  protected readonly resets = new ResetIds()
  /** Whose DATA is being read; null: nobody's. */
  #receiver: Stream | null = null
  #cancelSettingsTimer: (() => void) | null = null
  #cancelThrottle: (() => void) | null = null
  #cancelLinger: (() => void) | null = null

  constructor(stream: Duplex, options: Http2Options, clock: Clock) {
    this.#stream = stream
    this.clock = clock
    this.windowBytes = options.windowBytes ?? STREAM_WINDOW_BYTES
    this.#isTrusted = options.trusted === true
    this.section = new Section(this.#isTrusted)
    this.#abuse = new Abuse(clock)
    this.#starved = new Deadlines(STARVED_LIMIT_MS, clock, (starved) => this.#onStarvation(starved))
    this.output = new Output(stream, () => this.onDrain())
    this.#window = new ConnectionWindow(this.output, options.connectionWindowBytes ?? CONNECTION_WINDOW_BYTES)
    this.scheduler = new Scheduler(this.output)
    this.pings = new Pings(this.output, clock)
    if (options.keepaliveMs !== undefined) {
      const silent = () => this.fail(new ConnectionFault(CANCEL, 'two PINGs without an answer', 'HTTP2_SILENT'))
      this.pings.keepAlive(options.keepaliveMs, silent)
    }
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
  }

  get active(): number {
    return this.streams.size
  }

  // ---- what differs between the two ends

  /** A whole header block; every block is decoded, whatever becomes of it, since the tables must keep step. */
  abstract onBlock(streamId: number, end: boolean, bytes: Buffer, from: number, to: number): void
  abstract onGoaway(lastStreamId: number, error: number): void
  /** No frame may name such a stream but the HEADERS that open it. */
  protected abstract isIdleId(streamId: number): boolean
  /** Of the peer's streams, the last that we may have processed. */
  protected abstract readonly lastStreamId: number
  protected abstract mayReceiveData(stream: Stream): boolean
  protected abstract onRefusal(code: FaultCode, detail: string): void
  /** A stream was forgotten, after its last event. */
  protected abstract onStreamGone(): void
  protected abstract onClosed(): void
  protected onPeerSettings(): void {}

  protected onDrain(): void {
    this.scheduler.run()
  }

  // ---- reading

  protected begin(settings: Settings): void {
    writeSettings(this.output, 0, settings)
    this.#window.open()
    this.#cancelSettingsTimer = this.clock.after(SETTINGS_TIMEOUT_MS, () =>
      this.fail(new ConnectionFault(SETTINGS_TIMEOUT, 'no acknowledgement of SETTINGS in 10 seconds', 'HTTP2_SILENT')),
    )
  }

  protected readFrames(bytes: Buffer, from: number): void {
    if (this.isClosing) return
    this.pings.heard()
    try {
      this.#reader.push(bytes, from)
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error
      this.fail(error)
    }
  }

  /** A head has begun and is not complete. */
  protected get isHeadPartial(): boolean {
    return this.#incoming.isInBlock || this.#reader.partialType === HEADERS
  }

  protected decode(kind: SectionKind, bytes: Buffer, from: number, to: number): boolean {
    this.section.begin(kind)
    try {
      this.#decoder.decode(bytes, from, to, this.section)
    } catch (error) {
      if (!(error instanceof HpackError)) throw error
      throw compressionError(error)
    }
    if (this.#incoming.dependsOnItself) this.section.refuse('a stream that depends on itself')
    return this.section.finish()
  }

  count(kind: AbuseKind): void {
    if (kind === 'window' && this.scheduler.framesSent > 0) {
      this.#abuse.credit(kind, this.scheduler.framesSent * 4)
      this.scheduler.framesSent = 0
    }
    const detail = this.#abuse.count(kind)
    if (detail === null) return
    if (kind === 'reset' && this.#isTrusted) this.#throttle(this.#abuse.overflowMs(kind))
    else throw flood(detail)
  }

  #throttle(forMs: number): void {
    if (this.#cancelThrottle !== null) return
    this.#stream.pause()
    this.#cancelThrottle = this.clock.after(forMs, () => {
      this.#cancelThrottle = null
      this.#stream.resume()
    })
  }

  // ---- DATA

  onDataStart(streamId: number, length: number): void {
    this.#window.receive(length)
    if (length > 0) this.#abuse.credit('ping', 1)
    const stream = this.streams.get(streamId)
    this.#receiver = null
    if (stream === undefined) return this.#onFrameForNobody(streamId)
    if (stream.isReceived) return this.onStreamFault(streamId, STREAM_CLOSED, 'DATA behind the end of its stream')
    if (!this.mayReceiveData(stream)) return this.onStreamFault(streamId, PROTOCOL_ERROR, 'DATA before a head')
    stream.receiveWindow -= length
    stream.unrefundedBytes += length
    if (stream.receiveWindow < 0)
      return this.onStreamFault(streamId, FLOW_CONTROL_ERROR, 'DATA beyond the window of its stream')
    this.#receiver = stream
  }

  /** Section 5.1: what was under way when we reset is ignored; anything else on a closed stream is an error. */
  #onFrameForNobody(streamId: number): void {
    if (this.isIdleId(streamId)) throw protocolError('a frame on a stream that was never opened')
    if (!this.resets.has(streamId)) this.onStreamFault(streamId, STREAM_CLOSED, 'DATA on a stream that is over')
  }

  onDataPiece(bytes: Buffer, from: number, to: number, end: boolean): void {
    const stream = this.#receiver
    if (stream === null || stream.isOver) return
    if (stream.bodyLeft >= 0) {
      stream.bodyLeft -= to - from
      if (stream.bodyLeft < 0 || (end && stream.bodyLeft > 0))
        return this.onStreamFault(stream.id, PROTOCOL_ERROR, 'a body of another length than Content-Length')
    }
    if (end) this.endReceiving(stream)
    else if (from === to) return
    stream.events.onData(bytes, from, to, end)
    if (!end) stream.refund()
    else if (stream.isOver) this.onStreamGone()
  }

  /** Before the event that tells it, in which the exchange may end: a reset after it must not undo what is done. */
  protected endReceiving(stream: Stream): void {
    stream.isReceived = true
    if (stream.isSent) this.forget(stream)
  }

  // ---- the frames of one stream

  onResetFrame(streamId: number, error: number): void {
    const stream = this.streams.get(streamId)
    if (stream === undefined) {
      if (this.isIdleId(streamId)) throw protocolError('RST_STREAM on a stream that was never opened')
      return this.count('ignored')
    }
    const isEarly = !stream.isSent
    this.forget(stream)
    stream.events.onReset(error === REFUSED_STREAM ? 'refused' : error === CANCEL ? 'cancel' : 'closed')
    this.onStreamGone()
    if (isEarly) this.count('reset')
  }

  onStreamFault(streamId: number, error: number, detail: string): void {
    // Section 6.4: there is no RST_STREAM for what was never opened.
    if (this.isIdleId(streamId)) throw new ConnectionFault(error, detail)
    this.onRefusal('BAD_REQUEST', detail)
    this.resetStream(streamId, error)
    const stream = this.streams.get(streamId)
    if (stream !== undefined) {
      this.forget(stream)
      stream.events.onReset('protocol')
      this.onStreamGone()
    }
    this.count('reset')
  }

  onWindow(streamId: number, bytes: number): void {
    if (streamId === 0) {
      this.scheduler.sendWindow += bytes
      if (this.scheduler.sendWindow > WINDOW_LIMIT_BYTES) throw flowError('a window of the connection beyond 2^31')
      return this.scheduler.run()
    }
    const stream = this.streams.get(streamId)
    if (stream === undefined) {
      if (this.isIdleId(streamId)) throw protocolError('WINDOW_UPDATE on a stream that was never opened')
      return
    }
    stream.sendWindow += bytes
    if (stream.sendWindow > WINDOW_LIMIT_BYTES)
      return this.onStreamFault(streamId, FLOW_CONTROL_ERROR, 'a window of a stream beyond 2^31')
    if (stream.queuedBytes === 0) return
    this.scheduler.add(stream)
    this.scheduler.run()
  }

  // ---- the frames of the connection

  onSettings(bytes: Buffer, from: number, to: number): void {
    const before = this.peerSettings.initialWindowBytes
    this.peerSettings.read(bytes, from, to, (sizeBytes) => this.encoder.limitTable(sizeBytes))
    const more = this.peerSettings.initialWindowBytes - before
    if (more !== 0) {
      for (const stream of this.streams.values()) {
        stream.sendWindow += more
        if (stream.sendWindow > WINDOW_LIMIT_BYTES) throw flowError('SETTINGS that make a window beyond 2^31')
        if (stream.queuedBytes > 0) this.scheduler.add(stream)
      }
    }
    writeSettings(this.output, ACK, [])
    this.scheduler.run()
    this.onPeerSettings()
  }

  onSettingsAck(): void {
    this.#cancelSettingsTimer?.()
    this.#cancelSettingsTimer = null
  }

  onPing(isAck: boolean, high: number, low: number): void {
    if (isAck) this.pings.onAck(high)
    else writePing(this.output, ACK, high, low)
  }

  // ---- the end of a stream

  onComplete(stream: Stream): void {
    this.forget(stream)
    this.onStreamGone()
  }

  onStarved(stream: Stream, isStarved: boolean): void {
    if (isStarved) this.#starved.start(stream)
    else this.#starved.stop(stream)
  }

  #onStarvation(stream: Stream): void {
    this.onRefusal('HTTP2_FLOOD', 'no window for a body in 30 seconds')
    this.resetStream(stream.id, ENHANCE_YOUR_CALM)
    this.forget(stream)
    stream.events.onReset('timeout')
    this.onStreamGone()
  }

  giveUp(stream: Stream, error: number): void {
    if (stream.id !== 0) this.resetStream(stream.id, error)
    this.forget(stream)
    this.onStreamGone()
  }

  protected resetStream(streamId: number, error: number): void {
    writeReset(this.output, streamId, error)
    this.resets.add(streamId)
  }

  protected forget(stream: Stream): void {
    this.streams.delete(stream.id)
    if (this.#starved.size > 0) this.#starved.stop(stream)
    stream.dispose()
  }

  // ---- the end of the connection

  destroy(): void {
    this.#stream.destroy()
    if (this.#stream.closed) this.#onClose()
  }

  protected fail(fault: ConnectionFault): void {
    if (this.isClosing) return
    this.#reader.stop()
    writeGoaway(this.output, this.lastStreamId, fault.error)
    this.close()
    this.onRefusal(fault.code, fault.message)
    this.#cutOff(fault.code === 'HTTP2_SILENT' ? 'closed' : 'protocol')
  }

  /** Ends our side once all is written, and the connection once the peer has ended its own. */
  protected close(): void {
    if (this.isClosing) return
    this.isClosing = true
    this.#stopTimers()
    this.output.end()
    this.#cancelLinger ??= lingerThenDestroy(this.#stream, this.clock)
    this.#stream.resume()
  }

  protected onEnd(): void {
    if (!this.isClosing) this.destroy()
  }

  #stopTimers(): void {
    this.pings.stop()
    this.#starved.clear()
    this.#cancelSettingsTimer?.()
    this.#cancelThrottle?.()
    this.#cancelThrottle = null
  }

  #cutOff(code: ResetCode): void {
    for (const stream of [...this.streams.values()]) {
      this.streams.delete(stream.id)
      stream.die(this.wasNeverSent(stream) ? 'refused' : code)
    }
  }

  protected wasNeverSent(_stream: Stream): boolean {
    return false
  }

  #onClose(): void {
    if (this.isClosed) return
    this.isClosed = this.isClosing = true
    this.#reader.stop()
    this.#stopTimers()
    this.#cancelLinger?.()
    this.#cutOff('closed')
    this.onClosed()
  }
}
