// How long a connection may stay idle: the setting, or less once the endpoint was seen to close idle connections
// sooner. A request sent while the endpoint closes is lost, and unless it may be repeated the caller sees the error;
// so ours must be the side that closes first. (Servers on Node close after 5 s, for one.)
import type { Clock } from '#shared/clock.ts'

export interface IdleLimit {
  readonly idleMs: number
  /** An idle connection was closed by the endpoint at this age. Returns whether the limit changed. */
  observeClose(idleForMs: number): boolean
}

/** Younger closes are restarts or mishaps: to follow them would undo the pool. */
const SHORTEST_MS = 500
/** Two closes at the same age, this far apart in time, are a habit; all at once are one restart. */
const APART_MS = 50
const LIKENESS = 0.15
const MARGIN = 0.8

export function createIdleLimit(configuredMs: number, clock: Clock): IdleLimit {
  let limitMs = configuredMs
  let last: { readonly idleForMs: number; readonly at: number } | null = null
  return {
    get idleMs() {
      return limitMs
    },
    observeClose(idleForMs) {
      if (idleForMs < SHORTEST_MS || idleForMs >= limitMs) return false
      const before = last
      last = { idleForMs, at: clock.now() }
      if (before === null || last.at - before.at < APART_MS) return false
      if (Math.abs(idleForMs - before.idleForMs) > before.idleForMs * LIKENESS) return false
      limitMs = Math.min(idleForMs, before.idleForMs) * MARGIN
      return true
    },
  }
}
