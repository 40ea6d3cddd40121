// The writing side of a relay whose bytes are valid only for a moment: they go out at once where that is safe, else they are
// copied. TLS hands over at most 16 KiB at a time, so these are gathered: to copy costs less than a system call for each.
import type { Duplex } from 'node:stream'

const SIZE = 256 * 1024
/** After a read of this size more is likely to come in the same turn; after a smaller one nothing is held back. */
const LARGE = 16 * 1024
/** Buffers kept for their next use: 4 MiB in all. */
const MOST_SPARE = 16
const spare: Buffer[] = []

export class Gathering {
  readonly #to: Duplex
  readonly #onDrain: () => void
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
    this.#send(buffer.subarray(0, this.#used), buffer)
    this.#used = 0
  }

  #gather(bytes: Buffer): void {
    let at = 0
    while (at < bytes.length) {
      this.#buffer ??= spare.pop() ?? Buffer.allocUnsafeSlow(SIZE)
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

  /** `owned` goes back to the spare ones when the kernel has it all. */
  #send(bytes: Buffer, owned: Buffer | null = null): void {
    this.#to.write(bytes, () => {
      if (owned !== null && spare.length < MOST_SPARE) spare.push(owned)
      if (!this.#isWaiting || this.#to.writableLength > 0) return
      this.#isWaiting = false
      this.#onDrain()
    })
    this.#isWaiting = this.#to.writableLength > 0
  }
}
