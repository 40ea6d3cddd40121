// TLS sessions to resume, the least recently used one dropped first. A session stands for the certificate shown when it began,
// so it is kept no longer than that certificate holds.

/** A session with its peer's certificate is about 2 KB. */
const MOST_SESSIONS = 512

interface Kept {
  readonly session: Buffer
  readonly expiresAtMs: number
}

export class SessionCache {
  readonly #kept = new Map<string, Kept>()

  get(key: string, wallMs: number): Buffer | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#kept.delete(key)
    if (wallMs >= kept.expiresAtMs) return undefined
    this.#kept.set(key, kept)
    return kept.session
  }

  set(key: string, session: Buffer, expiresAtMs: number): void {
    this.#kept.delete(key)
    this.#kept.set(key, { session, expiresAtMs })
    if (this.#kept.size <= MOST_SESSIONS) return
    for (const oldest of this.#kept.keys()) {
      this.#kept.delete(oldest)
      return
    }
  }

  delete(key: string): void {
    this.#kept.delete(key)
  }

  clear(): void {
    this.#kept.clear()
  }
}
