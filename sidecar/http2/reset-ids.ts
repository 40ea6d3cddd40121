// Streams that we reset (RFC 9113 section 5.1): what was under way to them is ignored, on any other closed stream it is an error.

const REMEMBERED = 1024

export class ResetIds {
  /** The oldest first. */
  readonly #ids = new Set<number>()

  add(streamId: number): void {
    this.#ids.add(streamId)
    if (this.#ids.size <= REMEMBERED) return
    for (const oldest of this.#ids) {
      this.#ids.delete(oldest)
      return
    }
  }

  has(streamId: number): boolean {
    return this.#ids.has(streamId)
  }
}
