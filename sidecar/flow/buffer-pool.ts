// Buffers for bytes on their way out, used again once these are gone. All connections share them, so that an idle one holds none;
// what is kept beyond a burst has a limit.

export class BufferPool {
  readonly #sizeBytes: number
  readonly #most: number
  readonly #free: Buffer[] = []

  /** Of buffers of one size, of which it keeps at most so many that nobody uses. */
  constructor(sizeBytes: number, most: number) {
    this.#sizeBytes = sizeBytes
    this.#most = most
  }

  take(): Buffer {
    return this.#free.pop() ?? Buffer.allocUnsafeSlow(this.#sizeBytes)
  }

  giveBack(buffer: Buffer): void {
    if (this.#free.length < this.#most) this.#free.push(buffer)
  }
}

/** Four records of TLS of the largest size, so that none is cut into a full one and a small one. */
export const OUTPUT_BYTES = 64 * 1024
/** For what is written at a time; given back when the kernel, or TLS, has taken it. */
export const outputBuffers = new BufferPool(OUTPUT_BYTES, 32)
