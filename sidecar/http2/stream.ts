// One request and its answer on a connection, seen from either end: what is sent and waits for window, what came and is refunded.
// Invariants: nothing is written after isSent; no event after isOver.
import { Unsendable } from '#flow/error.ts'
import { NUMBER_OF_RESET } from '#flow/reset-code.ts'
import type { Fields, HttpStream, ResetCode, StreamEvents } from '#flow/stream.ts'
import { BULK_STEP_BYTES } from './bulk.ts'
import { writeFields } from './field-block.ts'
import { writeWindowUpdate } from './frames.ts'
import type { HpackEncoder } from './hpack/encode.ts'
import { GROWING_FROM_BYTES, QUEUE_DRAINED_BYTES, QUEUE_FULL_BYTES, STREAM_WINDOW_BYTES } from './limits.ts'
import type { Output } from './output.ts'
import { INTERNAL_ERROR } from './protocol.ts'
import type { Scheduler, Sender } from './scheduler.ts'
import { SendQueue } from './send-queue.ts'

export interface StreamOwner {
  readonly output: Output
  readonly encoder: HpackEncoder
  readonly scheduler: Scheduler
  /** What a stream may be sent beyond what was delivered: first, and once its body was seen to flow. */
  readonly firstWindowBytes: number
  readonly windowBytes: number
  /** Both directions are complete. */
  onComplete(stream: Stream): void
  /** Its body began and not a byte could be sent for want of window; or, with false, at last one was. */
  onStarved(stream: Stream, isStarved: boolean): void
  /** We give it up: the peer is told, and no event follows. */
  giveUp(stream: Stream, error: number): void
  /** A further BULK_STEP_BYTES of its bodies have passed. */
  onBulkStep(stream: Stream): void
}

const NOTHING = Buffer.alloc(0)
const SILENT: StreamEvents = { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} }

export abstract class Stream implements HttpStream, Sender {
  readonly version = '2'
  id: number
  events: StreamEvents = SILENT
  sendWindow: number
  isReady = false
  /** Our final head has gone. */
  hasSentHead = false
  /** Our END_STREAM has gone. */
  isSent = false
  /** The peer's END_STREAM has come. */
  isReceived = false
  /** Forgotten by the connection: calls do nothing any more. */
  isOver = false
  /** What the peer may still send. */
  receiveWindow: number
  #windowBytes: number
  #refundedBytes = 0
  /** Came and is not refunded. */
  unrefundedBytes = 0
  /** Of the Content-Length, still to come; -1: none was said. */
  bodyLeft = -1
  /** On the owner's clock, where that matters. */
  bornAt = 0
  protected readonly owner: StreamOwner
  readonly #queue = new SendQueue()
  /** Of both bodies, since the last step. */
  #stepBytes = 0
  /** Nothing of a body could be sent yet. */
  #isStarved = false
  #hasSentBody = false
  /** Behind what is queued: nothing, the end, or trailers and the end. */
  #endsWith: 'data' | Fields | null = null
  #wasFull = false
  #isHeld = false

  constructor(owner: StreamOwner, id: number, sendWindow: number) {
    this.owner = owner
    this.id = id
    this.sendWindow = sendWindow
    this.receiveWindow = this.#windowBytes = owner.firstWindowBytes
  }

  /** Writes the head, and says whether it was the final one. Throws Unsendable for what must not go out. */
  protected abstract writeHead(fields: Fields, end: boolean): boolean

  // ---- sending

  sendHead(fields: Fields, end: boolean): void {
    if (this.isOver || this.isSent || this.hasSentHead) return
    try {
      this.hasSentHead = this.writeHead(fields, end)
      if (this.hasSentHead && end) this.#endSending()
    } catch (error) {
      this.#fail(error)
    }
  }

  sendData(bytes: Uint8Array, from: number, to: number, end: boolean): boolean {
    if (this.isOver || this.isSent || !this.hasSentHead || this.#endsWith !== null) return true
    const at = this.queuedBytes === 0 ? this.#sendNow(bytes, from, to, end) : from
    if (at < to) this.#enqueue(bytes, at, to)
    if (end && !this.isSent) this.#endsWith = 'data'
    // Who gave no window at all may never give any: nothing is gathered for it.
    if (this.queuedBytes === 0 || (this.queuedBytes <= QUEUE_FULL_BYTES && !this.#isStarved)) return true
    this.#wasFull = true
    return false
  }

  #sendNow(bytes: Uint8Array, from: number, to: number, end: boolean): number {
    let at = from
    if (from < to) at = this.owner.scheduler.sendNow(this, bytes, from, to, end)
    else if (end) this.owner.scheduler.write(this, NOTHING, 0, 0, true)
    if (at > from) this.#hasSentBody = true
    if (at === to && end) this.#endSending()
    return at
  }

  sendTrailers(fields: Fields): void {
    if (this.isOver || this.isSent || !this.hasSentHead || this.#endsWith !== null) return
    if (this.queuedBytes > 0) this.#endsWith = fields
    else this.#writeTrailers(fields)
  }

  /** For writeHead. */
  protected writeFields(fields: Fields, end: boolean): void {
    writeFields(this.owner.output, this.owner.encoder, this.id, fields, end)
  }

  #writeTrailers(fields: Fields): void {
    try {
      if (fields.length === 0) this.owner.scheduler.write(this, NOTHING, 0, 0, true)
      else this.writeFields(fields, true)
      this.#endSending()
    } catch (error) {
      this.#fail(error)
    }
  }

  get queuedBytes(): number {
    return this.#queue.sizeBytes
  }

  #enqueue(bytes: Uint8Array, from: number, to: number): void {
    this.#queue.push(bytes, from, to)
    this.owner.scheduler.add(this)
    if (this.#hasSentBody || this.#isStarved || this.sendWindow > 0) return
    this.#isStarved = true
    this.owner.onStarved(this, true)
  }

  sendQueued(limit: number): void {
    this.#queue.take(limit, (bytes, from, to) => {
      this.owner.scheduler.write(this, bytes, from, to, this.queuedBytes === 0 && this.#endsWith === 'data')
    })
    this.#hasSentBody = true
    if (this.#isStarved) {
      this.#isStarved = false
      this.owner.onStarved(this, false)
    }
    if (this.queuedBytes === 0) this.#onQueueSent()
    if (this.#wasFull && this.queuedBytes <= QUEUE_DRAINED_BYTES && !this.isSent) {
      this.#wasFull = false
      this.events.onDrain()
    }
  }

  #onQueueSent(): void {
    const end = this.#endsWith
    if (end === null) return
    this.#endsWith = null
    if (end === 'data') this.#endSending()
    else this.#writeTrailers(end)
  }

  #endSending(): void {
    this.isSent = true
    if (this.isReceived) this.owner.onComplete(this)
    else this.onSent()
  }

  /** Our END_STREAM has gone, and the peer's has not come. */
  protected onSent(): void {}

  /** All of ours has been handed over, the end too, and some of it waits. */
  protected get isEnding(): boolean {
    return this.#endsWith !== null
  }

  // ---- receiving

  pause(): void {
    this.#isHeld = true
  }

  resume(): void {
    this.#isHeld = false
    this.refund()
  }

  /**
   * In large steps: a WINDOW_UPDATE for each frame would cost as much as the frames. Where the window is that of an application the steps are
   * of 8 KiB: a peer that gathers small writes (Nagle) sends its second frame only when the first was acknowledged, and the kernel does that
   * at once only with a frame of ours, else after 40 ms.
   */
  refund(): void {
    if (this.#isHeld || this.isReceived || this.isOver) return
    const share = this.owner.windowBytes > STREAM_WINDOW_BYTES ? 2 : 8
    if (this.unrefundedBytes * share < this.#windowBytes) return
    const more = this.unrefundedBytes + this.#growth()
    writeWindowUpdate(this.owner.output, this.id, more)
    this.carried(this.unrefundedBytes)
    this.receiveWindow += more
    this.#refundedBytes += this.unrefundedBytes
    this.unrefundedBytes = 0
  }

  /** Only behind more than the far half keeps for a reader that stands still: what such a one leaves here stays small. */
  #growth(): number {
    const growth = this.owner.windowBytes - this.#windowBytes
    if (growth === 0 || this.#refundedBytes < GROWING_FROM_BYTES) return 0
    this.#windowBytes += growth
    return growth
  }

  carried(bytes: number): void {
    this.#stepBytes += bytes
    if (this.#stepBytes < BULK_STEP_BYTES) return
    this.#stepBytes = 0
    this.owner.onBulkStep(this)
  }

  // ---- the end

  reset(code: ResetCode): void {
    if (!this.isOver) this.owner.giveUp(this, NUMBER_OF_RESET[code])
  }

  /** The connection has forgotten it. */
  dispose(): void {
    this.isOver = true
    this.#queue.clear()
    this.#endsWith = null
  }

  /** The peer, or the end of the connection, ended it. */
  die(code: ResetCode): void {
    if (this.isOver) return
    this.dispose()
    this.events.onReset(code)
  }

  #fail(error: unknown): void {
    if (!(error instanceof Unsendable)) throw error
    this.owner.giveUp(this, INTERNAL_ERROR)
    queueMicrotask(() => this.events.onReset('internal'))
  }
}
