// Bytes that wait for a window, in blocks of a frame each. Small pieces are gathered: a body that comes byte by byte takes no more
// than its size.
import { BufferPool } from '#flow/buffer-pool.ts'
import { DATA_LIMIT_BYTES } from './protocol.ts'

const blocks = new BufferPool(DATA_LIMIT_BYTES, 64)

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
    const last = this.#blocks.length - 1
    let at = last < 0 ? from : this.#fill(last, bytes, from, to)
    while (at < to) {
      const index = this.#blocks.push(blocks.take()) - 1
      this.#ends.push(0)
      at = this.#fill(index, bytes, at, to)
    }
  }

  #fill(index: number, bytes: Uint8Array, from: number, to: number): number {
    const block = this.#blocks[index] as Buffer
    const end = this.#ends[index] as number
    const size = Math.min(DATA_LIMIT_BYTES - end, to - from)
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
    const isUsedUp = to === end
    if (isUsedUp) {
      this.#blocks.shift()
      this.#ends.shift()
      this.#at = 0
    }
    use(block, from, to)
    if (isUsedUp) blocks.giveBack(block)
  }

  clear(): void {
    for (const block of this.#blocks) blocks.giveBack(block)
    this.#blocks.length = this.#ends.length = this.sizeBytes = this.#at = 0
  }
}
