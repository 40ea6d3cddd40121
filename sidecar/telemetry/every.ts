// Keeps a message that could come ten thousand times a second from filling the log.

/** True on the first call and then at most once per interval. */
export function createEvery(intervalMs: number, now: () => number): () => boolean {
  let nextAt = Number.NEGATIVE_INFINITY
  return () => {
    const at = now()
    if (at < nextAt) return false
    nextAt = at + intervalMs
    return true
  }
}
