// For the inbound path: the application may close an idle connection at the very moment that we use it. A request that
// may be repeated then gets one more try, on a fresh connection; everything else is the caller's decision.
import type { Step } from '#flow/exchange.ts'

const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'])

export const retryStale: Step = {
  name: 'retry-stale',
  onAttemptFailed(exchange, attempt, code) {
    const isStale = code === 'UPSTREAM_CLOSED' && attempt.isReused && exchange.attempts.length === 1
    if (!isStale || !exchange.isReplayable || !REPEATABLE.has(exchange.facts.method)) return 'continue'
    // A restarted application has closed all its connections: by the next turn the pool knows of the others too.
    exchange.retryDelayMs = 1
    return 'retry'
  },
}
