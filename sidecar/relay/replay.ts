// The body of a request so far, kept while the connection is not there yet and while another try may need it again.

/** Up to this a body is kept for a further try; a longer one is sent once. */
const REPLAY_LIMIT_BYTES = 64 * 1024

export class ReplayBuffer {
  readonly #chunks: Buffer[] = []
  #sizeBytes = 0

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  get isWithinLimit(): boolean {
    return this.#sizeBytes <= REPLAY_LIMIT_BYTES
  }

  keep(bytes: Uint8Array, from: number, to: number): void {
    if (to === from) return
    this.#chunks.push(Buffer.from(bytes.subarray(from, to)))
    this.#sizeBytes += to - from
  }

  drop(): void {
    this.#chunks.length = 0
    this.#sizeBytes = 0
  }

  /** Sends all; `end` marks the last chunk. Returns false when the taker asks to pause. */
  sendTo(send: (bytes: Uint8Array, from: number, to: number, end: boolean) => boolean, end: boolean): boolean {
    let goOn = true
    this.#chunks.forEach((chunk, index) => {
      goOn = send(chunk, 0, chunk.length, end && index === this.#chunks.length - 1)
    })
    return goOn
  }
}
