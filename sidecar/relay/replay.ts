// The body of a request so far, kept while the connection is not there yet and while another try may need it again.
// One piece of memory whatever the pieces that came: a body of single bytes must not cost a hundred times its size.

/** Up to this a body is kept for a further try; a longer one is sent once. */
const REPLAY_LIMIT_BYTES = 64 * 1024

export class ReplayBuffer {
  #bytes: Buffer | null = null
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get isWithinLimit(): boolean {
    return this.#sizeBytes <= REPLAY_LIMIT_BYTES
  }

  keep(bytes: Uint8Array, from: number, to: number): void {
    if (to === from) return
    const size = this.#sizeBytes + to - from
    if (this.#bytes === null || size > this.#bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(size, 2 * this.#sizeBytes))
      this.#bytes?.copy(grown, 0, 0, this.#sizeBytes)
      this.#bytes = grown
    }
    this.#bytes.set(bytes.subarray(from, to), this.#sizeBytes)
    this.#sizeBytes = size
  }

  /** Sends all; `end` marks it as the last. Returns false when the taker asks to pause. */
  sendTo(send: (bytes: Uint8Array, from: number, to: number, end: boolean) => boolean, end: boolean): boolean {
    return this.#bytes === null || send(this.#bytes, 0, this.#sizeBytes, end)
  }
}
