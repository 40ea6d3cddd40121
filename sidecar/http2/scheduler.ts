// Whose bytes leave next. While nothing is short a stream writes at once; otherwise those that have bytes and window take turns,
// a frame each, so that a large body never holds up a small one by more than what is already under way.
import { writeData } from './frames.ts'
import type { Output } from './output.ts'
import { DATA_LIMIT_BYTES, FRAME_LIMIT_BYTES, INITIAL_WINDOW_BYTES } from './protocol.ts'

/** What the scheduler needs of a stream. */
export interface Sender {
  readonly id: number
  /** What its peer still lets it send; below 0 after its SETTINGS shrank. */
  sendWindow: number
  /** In the ring. */
  isReady: boolean
  /** Writes one frame of what waits, of at most `limit` bytes. */
  sendQueued(limit: number): void
  readonly queuedBytes: number
  /** So much of its body has passed. */
  carried(bytes: number): void
}

export class Scheduler {
  sendWindow = INITIAL_WINDOW_BYTES
  /** DATA frames sent; each may be answered by window updates. */
  framesSent = 0
  readonly #output: Output
  readonly #ready: Sender[] = []
  #isRunning = false

  constructor(output: Output) {
    this.#output = output
  }

  /** Writes as much as may go now and returns the offset behind it; `end` counts once all went. */
  sendNow(sender: Sender, bytes: Uint8Array, from: number, to: number, end: boolean): number {
    let at = from
    while (at < to && this.#ready.length === 0 && !this.#output.isFull) {
      const size = sizeOf(to - at, this.#roomOf(sender))
      if (size <= 0) break
      this.write(sender, bytes, at, at + size, end && at + size === to)
      at += size
    }
    return at
  }

  /** One frame; windows are the caller's to have looked at. */
  write(sender: Sender, bytes: Uint8Array, from: number, to: number, end: boolean): void {
    writeData(this.#output, sender.id, { bytes, from, to }, end)
    sender.sendWindow -= to - from
    this.sendWindow -= to - from
    this.framesSent++
    sender.carried(to - from)
  }

  /** It has bytes, and perhaps window: it takes part from now on. */
  add(sender: Sender): void {
    if (sender.isReady || sender.sendWindow <= 0) return
    sender.isReady = true
    this.#ready.push(sender)
  }

  /** After more window, or once the output has drained. */
  run(): void {
    if (this.#isRunning) return
    this.#isRunning = true
    while (this.#ready.length > 0 && this.sendWindow > 0 && !this.#output.isFull) {
      const sender = this.#ready.shift() as Sender
      sender.isReady = false
      if (sender.queuedBytes === 0) continue
      const limit = this.#roomOf(sender)
      if (limit > 0) sender.sendQueued(limit)
      if (sender.queuedBytes > 0) this.add(sender)
    }
    this.#isRunning = false
  }

  #roomOf(sender: Sender): number {
    return Math.min(FRAME_LIMIT_BYTES, sender.sendWindow, this.sendWindow)
  }
}

/** What came in one frame leaves in one; of more, as much as fills a record of TLS with its head, and so is read in one piece. */
function sizeOf(bytes: number, room: number): number {
  return bytes <= FRAME_LIMIT_BYTES ? Math.min(bytes, room) : Math.min(DATA_LIMIT_BYTES, room)
}
