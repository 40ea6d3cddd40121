// The writing side of a relay whose bytes are valid only for a moment: they go out at once where that is safe, else they are
// copied. TLS hands over at most 16 KiB at a time, so these are gathered: to copy costs less than a system call for each.
import type { Duplex } from 'node:stream'
import { BufferPool } from '#flow/buffer-pool.ts'

const SIZE = 256 * 1024
/** After a read of this size more is likely to come in the same turn; after a smaller one nothing is held back. */
const LARGE = 16 * 1024
/** Kept for their next use: 4 MiB in all. */
const buffers = new BufferPool(SIZE, 16)

export class Gathering {
  readonly #to: Duplex
  readonly #onDrain: () => void
  readonly #onWritten: () => void
  /** TLS has encrypted what it was given when write() returns, and never looks at the bytes again. */
  readonly #copiesItself: boolean
  #buffer: Buffer | null = null
  #used = 0
  #isScheduled = false
  #isWaiting = false

  constructor(to: Duplex, onDrain: () => void) {
    this.#to = to
    this.#onDrain = onDrain
    this.#copiesItself = 'encrypted' in to
    this.#onWritten = () => {
      if (!this.#isWaiting || this.#to.writableLength > 0) return
      this.#isWaiting = false
      this.#onDrain()
    }
  }

  /** Whether more may come now; if not, `onDrain` tells. What comes all the same is kept. */
  write(bytes: Buffer): boolean {
    if (this.#buffer === null && this.#copiesItself && this.#to.writableLength === 0) this.#send(bytes)
    else if (this.#buffer === null && bytes.length < LARGE) this.#send(Buffer.from(bytes))
    else this.#gather(bytes)
    return !this.#isWaiting
  }

  /** Sends what was gathered. */
  readonly flush = (): void => {
    this.#isScheduled = false
    const buffer = this.#buffer
    if (buffer === null) return
    this.#buffer = null
    buffers.write(this.#to, buffer, this.#used, this.#onWritten)
    this.#used = 0
    this.#isWaiting = this.#to.writableLength > 0
  }

  #gather(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      this.#buffer ??= buffers.take()
      const size = bytes.copy(this.#buffer, this.#used, at)
      at += size
      this.#used += size
      if (this.#used === SIZE) this.flush()
    }
    if (bytes.length < LARGE) return this.flush()
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(this.flush)
  }

  #send(bytes: Buffer): void {
    this.#to.write(bytes, this.#onWritten)
    this.#isWaiting = this.#to.writableLength > 0
  }
}
