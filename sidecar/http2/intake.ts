// When a connection is read: not while there is a reason to wait, and never so long that others do not get their turn. What came
// with the last read and must wait is kept here.
import type { Duplex } from 'node:stream'

/** unread: the peer takes nothing of what waits for it. resets: it is slowed. turn: others are read first. */
export type WaitReason = 'unread' | 'resets' | 'turn'

/** What all connections together may keep. */
const KEPT_LIMIT_BYTES = 4 * 1024 * 1024
const NOTHING = Buffer.alloc(0)
let keptBytes = 0

export class Intake {
  readonly #stream: Duplex
  readonly #read: (bytes: Buffer, from: number) => void
  readonly #reasons = new Set<WaitReason>()
  #kept: Buffer = NOTHING
  /** Where what waits begins. */
  #at = 0
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
    if (this.#kept.length > 0) this.#readKept()
    if (!this.isHeld && !this.#isStopped) this.#stream.resume()
  }

  #readKept(): void {
    const kept = this.#kept
    const from = this.#at
    this.#at = kept.length
    this.#read(kept, from)
    if (this.#at < kept.length) return
    this.#forget()
    // Set free now: the garbage collector comes for the memory outside its heap only after some 30 MiB of it.
    const { buffer } = kept
    if (buffer instanceof ArrayBuffer) buffer.transfer(0)
  }

  /** The rest of a read, which is copied unless it was kept before. False: as much as may be kept is. */
  keep(bytes: Buffer, from: number): boolean {
    if (bytes === this.#kept) {
      this.#at = from
      return true
    }
    const size = this.#kept.length - this.#at + bytes.length - from
    if (keptBytes + size - this.#kept.length > KEPT_LIMIT_BYTES) return false
    const all = Buffer.allocUnsafeSlow(size)
    const at = this.#kept.copy(all, 0, this.#at)
    bytes.copy(all, at, from)
    this.#forget()
    this.#kept = all
    keptBytes += size
    return true
  }

  #forget(): void {
    keptBytes -= this.#kept.length
    this.#kept = NOTHING
    this.#at = 0
  }

  stop(): void {
    this.#isStopped = true
    this.#reasons.clear()
    this.#forget()
  }
}
