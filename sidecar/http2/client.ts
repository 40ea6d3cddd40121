// The opening side of an HTTP/2 connection: as many requests at a time as the server allows.
import type { Duplex } from 'node:stream'
import { readDirectly } from '#flow/direct-read.ts'
import type { HttpStream, SharedClientConnection, StreamEvents } from '#flow/stream.ts'
import { type Clock, systemClock } from '#shared/clock.ts'
import { Bulk } from './bulk.ts'
import { ClientStream, type ClientStreamOwner } from './client-stream.ts'
import type { Http2Options } from './connection.ts'
import { ConnectionFault, protocolError } from './faults.ts'
import { writeGoaway } from './frames.ts'
import { APPLICATION_OPEN_LIMIT, INTERIM_LIMIT_BYTES } from './limits.ts'
import { ENHANCE_YOUR_CALM, LAST_STREAM_ID, NO_ERROR, PREFACE, PROTOCOL_ERROR, STREAM_CLOSED } from './protocol.ts'
import { Session } from './session.ts'
import { clientSettings } from './settings.ts'
import type { Stream } from './stream.ts'

/** Takes over a stream that is connected. Requests may be opened at once. */
export function connectHttp2(
  stream: Duplex,
  options: Http2Options = {},
  clock: Clock = systemClock,
): SharedClientConnection {
  return new ClientSession(stream, options, clock)
}

class ClientSession extends Session implements SharedClientConnection, ClientStreamOwner {
  onIdle: () => void = () => {}
  onCapacity: () => void = () => {}
  onLeaving: () => void = () => {}
  onGone: () => void = () => {}
  /** Opened and not sent yet. */
  readonly #waiting = new Set<ClientStream>()
  readonly #bulk: Bulk<Stream>
  #nextId = 1
  #isLeaving = false
  #wasFull = false
  readonly #isToApplication: boolean

  constructor(stream: Duplex, options: Http2Options, clock: Clock) {
    super(stream, options, clock)
    this.#isToApplication = options.toApplication === true
    this.#bulk = new Bulk(clock)
    this.output.reserve(PREFACE.length).set(PREFACE, this.output.at)
    this.output.at += PREFACE.length
    this.begin(clientSettings(this.firstWindowBytes))
    const read = (bytes: Buffer) => this.readFrames(bytes, 0)
    if (!readDirectly(stream, read)) stream.on('data', read)
    stream.on('end', () => this.onEnd())
    stream.resume()
    if (stream.closed) process.nextTick(() => this.destroy())
  }

  // ---- what the pool sees

  override get active(): number {
    return this.streams.size + this.#waiting.size
  }

  get capacity(): number {
    if (this.isLeaving) return 0
    const { streamLimit } = this.peerSettings
    return Math.max(
      0,
      (this.#isToApplication ? Math.min(streamLimit, APPLICATION_OPEN_LIMIT) : streamLimit) - this.active,
    )
  }

  get isLeaving(): boolean {
    return this.#isLeaving || this.isClosing
  }

  get isIdle(): boolean {
    return this.active === 0 && this.capacity > 0
  }

  get bulk(): number {
    return this.#bulk.size
  }

  override onBulkStep(stream: Stream): void {
    this.#bulk.onStep(stream)
  }

  open(events: StreamEvents): HttpStream {
    const stream = new ClientStream(this, events, this.peerSettings.initialWindowBytes)
    if (this.capacity === 0) {
      stream.dispose()
      queueMicrotask(() => stream.events.onReset('refused'))
      return stream
    }
    this.#waiting.add(stream)
    if (this.capacity === 0) this.#wasFull = true
    return stream
  }

  drain(): void {
    this.#leave()
    this.#closeIfDone()
  }

  #leave(): void {
    if (this.isLeaving) return
    this.#isLeaving = true
    if (this.active > 0) this.onLeaving()
  }

  // ---- requests

  assign(stream: ClientStream): boolean {
    this.#waiting.delete(stream)
    if (this.isClosing || this.#isLeaving) {
      queueMicrotask(() => stream.die('refused'))
      return false
    }
    stream.id = this.#nextId
    stream.sendWindow = this.peerSettings.initialWindowBytes
    stream.bornAtFlush = this.output.flushes
    this.streams.set(stream.id, stream)
    this.#nextId += 2
    // RFC 9113 section 5.1.1: numbers are never used again; a further connection starts anew.
    if (this.#nextId > LAST_STREAM_ID) this.#leave()
    return true
  }

  // ---- answers

  onBlock(streamId: number, end: boolean, bytes: Buffer, from: number, to: number): void {
    if (this.isIdleId(streamId)) throw protocolError('HEADERS on a stream that was never opened')
    const stream = this.streams.get(streamId) as ClientStream | undefined
    const isGood = this.decode(stream?.isAnswered === true ? 'trailers' : 'response', bytes, from, to)
    if (stream === undefined) {
      if (this.resets.has(streamId)) return
      throw new ConnectionFault(STREAM_CLOSED, 'HEADERS on a stream that is over')
    }
    const fault = this.#faultOf(stream, end, isGood)
    if (fault !== null) return this.onStreamFault(streamId, PROTOCOL_ERROR, fault)
    if (stream.isAnswered) this.#onTrailers(stream)
    else if (this.section.status < 200) stream.events.onHead(this.section.release(), false)
    else this.#onFinalHead(stream, end)
  }

  /** Says which rule of RFC 9113 section 8.1 the head breaks; null: none. */
  #faultOf(stream: ClientStream, end: boolean, isGood: boolean): string | null {
    const { section } = this
    if (stream.isReceived) return 'HEADERS behind the end of their stream'
    if (!isGood) return section.fault
    if (stream.isAnswered) {
      if (!end) return 'a second head that is no trailers'
      return stream.bodyLeft > 0 ? 'a body shorter than its Content-Length' : null
    }
    if (section.status < 200) {
      stream.interimBytes += section.sizeBytes
      return end
        ? 'a 1xx that ends its stream'
        : stream.interimBytes > INTERIM_LIMIT_BYTES
          ? 'endless 1xx answers'
          : null
    }
    return end && section.contentLength > 0 && !isBodyless(stream, section.status)
      ? 'a Content-Length without its body'
      : null
  }

  #onFinalHead(stream: ClientStream, end: boolean): void {
    const { section } = this
    stream.isAnswered = true
    stream.bodyLeft = isBodyless(stream, section.status) ? 0 : section.contentLength
    const fields = section.release()
    if (end) this.endReceiving(stream)
    stream.events.onHead(fields, end)
    if (end && stream.isOver) this.onStreamGone()
  }

  #onTrailers(stream: ClientStream): void {
    const fields = this.section.release()
    this.endReceiving(stream)
    stream.events.onTrailers(fields)
    if (stream.isOver) this.onStreamGone()
  }

  /** An application that calls for calm has as much on this connection as it can bear: further requests have another one. */
  override onResetFrame(streamId: number, error: number): void {
    if (error === ENHANCE_YOUR_CALM && this.#isToApplication && this.streams.has(streamId)) this.#leave()
    super.onResetFrame(streamId, error)
  }

  protected mayReceiveData(stream: Stream): boolean {
    return (stream as ClientStream).isAnswered
  }

  protected isIdleId(streamId: number): boolean {
    return streamId >= this.#nextId || streamId % 2 === 0
  }

  /** A server opens no streams: PUSH is off. */
  protected get lastStreamId(): number {
    return 0
  }

  /** Whoever opened a stream hears of it there. */
  protected onRefusal(): void {}

  // ---- capacity

  protected override onPeerSettings(): void {
    if (this.capacity === 0) this.#wasFull = true
    this.#tellCapacity()
  }

  protected onStreamGone(): void {
    if (this.isLeaving) return this.#closeIfDone()
    this.#tellCapacity()
    if (this.isIdle) this.onIdle()
  }

  #tellCapacity(): void {
    if (!this.#wasFull || this.capacity === 0) return
    this.#wasFull = false
    this.onCapacity()
  }

  protected override forget(stream: Stream): void {
    this.#bulk.forget(stream)
    super.forget(stream)
  }

  override giveUp(stream: Stream, error: number): void {
    this.#waiting.delete(stream as ClientStream)
    if (stream.hasSentHead) return super.giveUp(stream, error)
    // RFC 9113 section 6.4: what the server has never heard of cannot be reset.
    this.forget(stream)
    this.onStreamGone()
  }

  // ---- the end

  onGoaway(lastStreamId: number): void {
    this.#leave()
    for (const stream of [...this.streams.values()]) {
      if (stream.id <= lastStreamId) continue
      this.forget(stream)
      stream.events.onReset('refused')
    }
    this.#closeIfDone()
  }

  #closeIfDone(): void {
    if (this.active > 0 || this.isClosing) return
    writeGoaway(this.output, 0, NO_ERROR)
    this.close()
  }

  /** Its head had not been handed to the socket. */
  protected override wasNeverSent(stream: Stream): boolean {
    return (stream as ClientStream).bornAtFlush === this.output.flushes
  }

  protected override onClosed(): void {
    for (const stream of this.#waiting) stream.die('refused')
    this.#waiting.clear()
    this.onGone()
  }
}

/** RFC 9110 section 6.4.1: Content-Length then tells of a body that is not sent. */
function isBodyless(stream: ClientStream, status: number): boolean {
  return stream.isHead || status === 304 || status === 204
}
