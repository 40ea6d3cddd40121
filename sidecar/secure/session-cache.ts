// TLS sessions to resume, each with the peer that proved itself when it began; the least recently used one is dropped first.
// A session is kept no longer than that peer's certificate holds.
import type { Peer } from './peer-id.ts'

/** A session is about 1.3 KB. */
const MOST_SESSIONS = 512

export interface KeptSession {
  readonly session: Buffer
  readonly peer: Peer
}

export class SessionCache {
  readonly #kept = new Map<string, KeptSession>()

  get(key: string, wallMs: number): KeptSession | undefined {
    const kept = this.#kept.get(key)
    if (kept === undefined) return undefined
    this.#kept.delete(key)
    if (wallMs >= kept.peer.expiresAt.getTime()) return undefined
    this.#kept.set(key, kept)
    return kept
  }

  set(key: string, kept: KeptSession): void {
    this.#kept.delete(key)
    this.#kept.set(key, kept)
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
