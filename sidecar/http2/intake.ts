// When a connection is read: not while there is a reason to wait, and never so long that others do not get their turn. What came
// with the last read and must wait is kept here.
import type { Duplex } from 'node:stream'

/** unread: the peer takes nothing of what waits for it. resets: it is slowed. turn: others are read first. */
export type WaitReason = 'unread' | 'resets' | 'turn'

/** What all connections together may keep. */
const KEPT_LIMIT_BYTES = 8 * 1024 * 1024
const NOTHING = Buffer.alloc(0)
let keptBytes = 0

export class Intake {
  readonly #stream: Duplex
  readonly #read: (bytes: Buffer, from: number) => void
  readonly #reasons = new Set<WaitReason>()
  #kept: Buffer = NOTHING
  #isStopped = false

  /** `read` is called with what was kept. */
  constructor(stream: Duplex, read: (bytes: Buffer, from: number) => void) {
    this.#stream = stream
    this.#read = read
  }

  get isHeld(): boolean {
    return this.#reasons.size > 0
  }

  hold(reason: WaitReason): void {
    if (this.#isStopped) return
    this.#reasons.add(reason)
    this.#stream.pause()
  }

  release(reason: WaitReason): void {
    if (!this.#reasons.delete(reason) || this.isHeld) return
    const kept = this.#takeKept()
    if (kept.length > 0) this.#read(kept, 0)
    if (!this.isHeld && !this.#isStopped) this.#stream.resume()
  }

  /** The rest of a read, which is copied. False: as much as may be kept is. */
  keep(bytes: Buffer, from: number): boolean {
    if (keptBytes + bytes.length - from > KEPT_LIMIT_BYTES) return false
    const before = this.#takeKept()
    this.#kept = Buffer.concat([before, bytes.subarray(from)])
    keptBytes += this.#kept.length
    return true
  }

  #takeKept(): Buffer {
    const kept = this.#kept
    this.#kept = NOTHING
    keptBytes -= kept.length
    return kept
  }

  stop(): void {
    this.#isStopped = true
    this.#reasons.clear()
    this.#takeKept()
  }
}
