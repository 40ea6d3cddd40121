// Bytes that wait for a window. Small pieces are gathered: a body that comes byte by byte takes no more than its size.
import { giveBackBlock, takeBlock } from './block-pool.ts'

export class SendQueue {
  sizeBytes = 0
  /** The bytes of the first block; #at and #ends say which of them wait. */
  readonly #blocks: Buffer[] = []
  /** Where the bytes of each block end. */
  readonly #ends: number[] = []
  /** In the first block. */
  #at = 0

  /** The bytes are copied. */
  push(bytes: Uint8Array, from: number, to: number): void {
    this.sizeBytes += to - from
    let at = from
    while (at < to) {
      const last = this.#blocks.length - 1
      if (last >= 0) at = this.#fill(last, bytes, at, to)
      if (at === to) return
      this.#blocks.push(takeBlock())
      this.#ends.push(0)
    }
  }

  #fill(index: number, bytes: Uint8Array, from: number, to: number): number {
    const block = this.#blocks[index] as Buffer
    const end = this.#ends[index] as number
    const size = Math.min(block.length - end, to - from)
    if (size > 0) block.set(bytes.subarray(from, from + size), end)
    this.#ends[index] = end + size
    return from + size
  }

  /** Takes up to `limit` bytes, given as a range that is valid during the call. */
  take(limit: number, use: (bytes: Buffer, from: number, to: number) => void): void {
    const block = this.#blocks[0] as Buffer
    const end = this.#ends[0] as number
    const from = this.#at
    const to = Math.min(end, from + limit)
    this.sizeBytes -= to - from
    this.#at = to
    if (to < end) return use(block, from, to)
    this.#blocks.shift()
    this.#ends.shift()
    this.#at = 0
    use(block, from, to)
    giveBackBlock(block)
  }

  clear(): void {
    for (const block of this.#blocks) giveBackBlock(block)
    this.#blocks.length = this.#ends.length = this.sizeBytes = this.#at = 0
  }
}
