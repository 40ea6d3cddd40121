// One connection without its streams, from either end: reading, SETTINGS, PINGs, the tables of HPACK, counters, and its end.
// Invariant: after isClosing nothing is read.
import type { Duplex } from 'node:stream'
import type { FaultCode } from '#flow/error.ts'
import { lingerThenDestroy } from '#flow/linger.ts'
import type { ResetCode } from '#flow/stream.ts'
import type { Clock } from '#shared/clock.ts'
import { Abuse, type AbuseKind } from './abuse.ts'
import { ConnectionWindow } from './connection-window.ts'
import { ConnectionFault, compressionError, flood } from './faults.ts'
import { travels } from './field-block.ts'
import { FrameReader } from './frame-reader.ts'
import { writeGoaway, writePing, writeSettings } from './frames.ts'
import { HpackDecoder, HpackError } from './hpack/decode.ts'
import { HpackEncoder } from './hpack/encode.ts'
import { type FrameMeaning, Incoming } from './incoming.ts'
import { Intake } from './intake.ts'
import { Pings } from './keepalive.ts'
import { CONNECTION_WINDOW_BYTES, SETTINGS_TIMEOUT_MS } from './limits.ts'
import { Output } from './output.ts'
import { ACK, CANCEL, HEADERS, SETTINGS_TIMEOUT } from './protocol.ts'
import { Scheduler } from './scheduler.ts'
import { Section, type SectionKind } from './section.ts'
import { PeerSettings, type Settings } from './settings.ts'

export interface Http2Options {
  /** Of each stream: what its peer may send beyond what was delivered; 64 KiB until its body has been seen to flow. Default 64 KiB. */
  readonly windowBytes?: number
  /** Of the connection, refunded on receipt. Default 1 MiB. */
  readonly connectionWindowBytes?: number
  /** Of a client: its server is an application, of which little is known: see APPLICATION_OPEN_LIMIT. Default false. */
  readonly toApplication?: boolean
  /** An authenticated peer of the mesh: its heads may be larger, by what the mesh adds. Default false. */
  readonly trusted?: boolean
  /** A PING whenever nothing came for that long; two without an answer end the connection. Default: none. */
  readonly keepaliveMs?: number
}

export abstract class Connection implements FrameMeaning {
  readonly output: Output
  readonly encoder = new HpackEncoder(travels)
  readonly scheduler: Scheduler
  protected readonly clock: Clock
  protected readonly peerSettings = new PeerSettings()
  protected readonly section: Section
  protected readonly pings: Pings
  protected readonly abuse: Abuse
  protected readonly intake: Intake
  protected readonly window: ConnectionWindow
  /** Nothing that comes is read any more. */
  protected isClosing = false
  protected isClosed = false
  readonly #stream: Duplex
  readonly #incoming = new Incoming(this)
  readonly #reader = new FrameReader(this.#incoming)
  readonly #decoder = new HpackDecoder()
  #cancelSettingsTimer: (() => void) | null = null
  #cancelSlowing: (() => void) | null = null
  #cancelLinger: (() => void) | null = null

  constructor(stream: Duplex, options: Http2Options, clock: Clock) {
    this.#stream = stream
    this.clock = clock
    this.section = new Section(options.trusted === true)
    this.output = new Output(stream, () => this.onDrain())
    this.window = new ConnectionWindow(this.output, options.connectionWindowBytes ?? CONNECTION_WINDOW_BYTES)
    this.scheduler = new Scheduler(this.output)
    this.abuse = new Abuse(this.scheduler, clock)
    this.intake = new Intake(stream, (bytes, from) => this.#read(bytes, from))
    this.pings = new Pings(this.output, clock)
    if (options.keepaliveMs !== undefined) {
      const silent = () => this.fail(new ConnectionFault(CANCEL, 'two PINGs without an answer', 'HTTP2_SILENT'))
      this.pings.keepAlive(options.keepaliveMs, silent)
    }
    stream.on('error', () => {})
    stream.on('close', () => this.#onClose())
  }

  // ---- what the streams and either end say

  /** A whole header block; every block is decoded, whatever becomes of it, since the tables must keep step. */
  abstract onBlock(streamId: number, end: boolean, bytes: Buffer, from: number, to: number): void
  abstract onDataStart(streamId: number, length: number): void
  abstract onDataPiece(bytes: Buffer, from: number, to: number, end: boolean): void
  abstract onResetFrame(streamId: number, error: number): void
  abstract onStreamFault(streamId: number, error: number, detail: string): void
  abstract onWindow(streamId: number, bytes: number): void
  abstract onGoaway(lastStreamId: number, error: number): void
  /** Of the peer's streams, the last that we may have processed. */
  protected abstract readonly lastStreamId: number
  /** The initial window of streams is by that much another than it was. Throws ConnectionFault. */
  protected abstract onInitialWindow(more: number): void
  protected abstract cutOff(code: ResetCode): void
  protected abstract onRefusal(code: FaultCode, detail: string): void
  protected abstract onClosed(): void
  protected onPeerSettings(): void {}
  /** Bytes were read. */
  protected onRead(): void {}

  protected onDrain(): void {
    this.scheduler.run()
  }

  // ---- reading

  protected begin(settings: Settings): void {
    writeSettings(this.output, 0, settings)
    this.window.open()
    this.#cancelSettingsTimer = this.clock.after(SETTINGS_TIMEOUT_MS, () =>
      this.fail(new ConnectionFault(SETTINGS_TIMEOUT, 'no acknowledgement of SETTINGS in 10 seconds', 'HTTP2_SILENT')),
    )
  }

  protected readFrames(bytes: Buffer, from: number): void {
    if (this.isClosing) return
    this.pings.heard()
    this.#read(bytes, from)
  }

  #read(bytes: Buffer, from: number): void {
    try {
      this.#readInTurns(bytes, from)
    } catch (error) {
      if (!(error instanceof ConnectionFault)) throw error
      this.fail(error)
    }
    this.onRead()
  }

  #readInTurns(bytes: Buffer, from: number): void {
    for (let at = from; at < bytes.length && !this.isClosing; ) {
      if (!this.intake.isHeld) at = this.#reader.push(bytes, at)
      if (at === bytes.length || this.isClosing) return
      if (this.intake.keep(bytes, at)) return this.#endTurn()
      if (this.intake.isHeld) throw flood('more than can wait while the connection is slowed')
    }
  }

  /** Others are read before it goes on. */
  #endTurn(): void {
    if (this.intake.isHeld) return
    this.intake.hold('turn')
    setImmediate(() => this.intake.release('turn'))
  }

  /** Nothing behind the present frame is looked at for that long. */
  protected slowDown(forMs: number): void {
    this.intake.hold('resets')
    this.#reader.endTurn()
    this.#cancelSlowing?.()
    this.#cancelSlowing = this.clock.after(forMs, () => this.intake.release('resets'))
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
    this.abuse.count(kind)
  }

  // ---- the frames of the connection

  onSettings(bytes: Buffer, from: number, to: number): void {
    const before = this.peerSettings.initialWindowBytes
    this.peerSettings.read(bytes, from, to, (sizeBytes) => this.encoder.limitTable(sizeBytes))
    const more = this.peerSettings.initialWindowBytes - before
    if (more !== 0) this.onInitialWindow(more)
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

  // ---- the end

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
    this.cutOff(fault.code === 'HTTP2_SILENT' ? 'closed' : 'protocol')
  }

  /** Ends our side once all is written, and the connection once the peer has ended its own. */
  protected close(): void {
    if (this.isClosing) return
    this.isClosing = true
    this.stopTimers()
    this.output.end()
    this.#cancelLinger ??= lingerThenDestroy(this.#stream, this.clock)
    this.#stream.resume()
  }

  protected onEnd(): void {
    if (!this.isClosing) this.destroy()
  }

  protected stopTimers(): void {
    this.pings.stop()
    this.intake.stop()
    this.#cancelSlowing?.()
    this.#cancelSettingsTimer?.()
  }

  #onClose(): void {
    if (this.isClosed) return
    this.isClosed = this.isClosing = true
    this.#reader.stop()
    this.stopTimers()
    this.#cancelLinger?.()
    this.cutOff('closed')
    this.onClosed()
  }
}
