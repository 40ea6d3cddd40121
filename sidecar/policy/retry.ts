// Decides whether a failed try is followed by another. Safe by default: a request of which a byte may have been
// processed is only sent again if its method may be repeated.

import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { Exchange, Step, Verdict } from '#flow/exchange.ts'
import { fieldValue } from '#flow/fields.ts'
import type { RetryPolicy } from '#shared/decide/config.ts'
import { REASON_FIELD } from './answer-faults.ts'
import type { RetryBudget } from './retry-budget.ts'

export interface RetryStepOptions {
  readonly policy: RetryPolicy
  /** One for each service, so that all its routes share it. */
  readonly budget: RetryBudget
  /** 0 <= random() < 1 */
  readonly random: () => number
  /** A further try was wanted, but the budget was spent. */
  readonly onOverBudget?: (service: string | null) => void
}

/** The delay never grows beyond this many times the base. */
const MAX_BACKOFF_FACTOR = 16

/** A restarted endpoint has closed all its connections: by the next turn of the loop the pool knows of the others too. */
const STALE_DELAY_MS = 1

/** With one of these the endpoint's own sidecar says that the application never saw the request. */
const NEVER_ARRIVED: ReadonlySet<string> = new Set<FaultCode>(['CONNECT_FAILED', 'CONNECT_TIMEOUT'])

/** null when the policy wants no retries. */
export function createRetryStep(options: RetryStepOptions): Step | null {
  const { policy, budget } = options
  if (policy.attempts === 0) return null
  const statuses = new Set(policy.statuses)
  const methods = new Set(policy.methods)
  const grpcStatuses = new Set(policy.grpcStatuses)
  const retry = (exchange: Exchange): Verdict => {
    const made = exchange.attempts.length - 1
    if (made >= policy.attempts || exchange.isAnswered || !exchange.isReplayable) return 'continue'
    if (!budget.take()) {
      options.onOverBudget?.(exchange.service)
      return 'continue'
    }
    exchange.retryDelayMs = backoffMs(made, policy.backoffBaseMs, options.random)
    return 'retry'
  }
  return {
    name: 'retry',
    onRequest() {
      budget.onRequest()
      return 'continue'
    },
    onResponse(exchange) {
      const { status = 0, grpcStatus = null } = exchange.attempts.at(-1) ?? {}
      if (grpcStatus !== null)
        return grpcStatuses.has(grpcStatus) || neverArrived(exchange) ? retry(exchange) : 'continue'
      if (status < 400) return 'continue'
      const isSafe = methods.has(exchange.facts.method) && statuses.has(status)
      return isSafe || neverArrived(exchange) ? retry(exchange) : 'continue'
    },
    onAttemptFailed(exchange, attempt, code) {
      if (!FAULTS[code].retry) return 'continue'
      if (exchange.hasLeft && !methods.has(exchange.facts.method)) return 'continue'
      const verdict = retry(exchange)
      if (attempt.isReused) exchange.retryDelayMs = Math.max(exchange.retryDelayMs, STALE_DELAY_MS)
      return verdict
    },
    onEnd() {
      budget.onRequestEnd()
    },
  }
}

/** Believed only of a sidecar that proved its identity: it takes the field out of what its application answers. */
function neverArrived(exchange: Exchange): boolean {
  if (exchange.attempts.at(-1)?.lease.endpoint.identity == null) return false
  const reason = fieldValue(exchange.response, REASON_FIELD)
  return reason !== undefined && NEVER_ARRIVED.has(reason)
}

/** The first retry goes at once, to another endpoint; from the second on, full jitter over a base that doubles. */
function backoffMs(made: number, baseMs: number, random: () => number): number {
  if (made === 0) return 0
  return random() * baseMs * Math.min(2 ** (made - 1), MAX_BACKOFF_FACTOR)
}
