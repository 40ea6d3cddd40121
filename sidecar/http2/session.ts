// The streams of a connection, as both ends see them: DATA, windows, resets, and their end. Invariants: a stream is in `streams` exactly
// while !isOver; every DATA byte is refunded to the connection when it comes and to its stream when it was delivered.
import type { Duplex } from 'node:stream'
import { Deadlines } from '#flow/deadlines.ts'
import { resetOfNumber } from '#flow/reset-code.ts'
import type { ResetCode } from '#flow/stream.ts'
import type { Clock } from '#shared/clock.ts'
import { Connection, type Http2Options } from './connection.ts'
import { ConnectionFault, flowError, protocolError } from './faults.ts'
import { writeReset } from './frames.ts'
import { STARVED_LIMIT_MS, STREAM_WINDOW_BYTES } from './limits.ts'
import { ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, PROTOCOL_ERROR, STREAM_CLOSED, WINDOW_LIMIT_BYTES } from './protocol.ts'
import { ResetIds } from './reset-ids.ts'
import type { Stream, StreamOwner } from './stream.ts'

export abstract class Session extends Connection implements StreamOwner {
  readonly firstWindowBytes: number
  readonly windowBytes: number
  protected readonly streams = new Map<number, Stream>()
  protected readonly resets = new ResetIds()
  readonly #starved: Deadlines<Stream>
  /** Whose DATA is being read; null: nobody's. */
  #receiver: Stream | null = null

  constructor(stream: Duplex, options: Http2Options, clock: Clock) {
    super(stream, options, clock)
    this.windowBytes = options.windowBytes ?? STREAM_WINDOW_BYTES
    this.firstWindowBytes = Math.min(this.windowBytes, STREAM_WINDOW_BYTES)
    this.#starved = new Deadlines(STARVED_LIMIT_MS, clock, (starved) => this.#onStarvation(starved))
  }

  get active(): number {
    return this.streams.size
  }

  // ---- what differs between the two ends

  /** No frame may name such a stream but the HEADERS that open it. */
  protected abstract isIdleId(streamId: number): boolean
  protected abstract mayReceiveData(stream: Stream): boolean
  /** The peer gave a request up before its answer, or made us give it up. */
  protected onGivenUp(_bornAt: number): void {}
  /** A stream was forgotten, after its last event. */
  protected abstract onStreamGone(): void

  // ---- DATA

  onDataStart(streamId: number, length: number): void {
    this.window.receive(length)
    if (length > 0) this.abuse.onData()
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
    stream.events.onReset(resetOfNumber(error))
    this.onStreamGone()
    if (isEarly) this.onGivenUp(stream.bornAt)
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
    this.onGivenUp(stream?.bornAt ?? this.clock.now())
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

  protected onInitialWindow(more: number): void {
    for (const stream of this.streams.values()) {
      stream.sendWindow += more
      if (stream.sendWindow > WINDOW_LIMIT_BYTES) throw flowError('SETTINGS that make a window beyond 2^31')
      if (stream.queuedBytes > 0) this.scheduler.add(stream)
    }
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

  onBulkStep(_stream: Stream): void {}

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

  protected override stopTimers(): void {
    super.stopTimers()
    this.#starved.clear()
  }

  protected cutOff(code: ResetCode): void {
    for (const stream of [...this.streams.values()]) {
      this.streams.delete(stream.id)
      stream.die(this.wasNeverSent(stream) ? 'refused' : code)
    }
  }

  protected wasNeverSent(_stream: Stream): boolean {
    return false
  }
}
