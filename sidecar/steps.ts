// The steps of a policy, in the order in which a request meets them, with the state that they share.

import type { Step } from '#flow/exchange.ts'
import type { Clock } from '#shared/clock.ts'
import type { RequestPolicy } from '#shared/decide/config.ts'
import { createBreakCircuitStep } from './policy/break-circuit.ts'
import { createBreaker } from './policy/breaker.ts'
import { createRetryStep } from './policy/retry.ts'
import { createRetryBudget } from './policy/retry-budget.ts'
import { createTimeoutStep } from './policy/timeout.ts'
import type { StepSet } from './route/table.ts'
import type { Metrics } from './telemetry/metrics.ts'

export interface StepParts {
  readonly clock: Clock
  readonly random: () => number
  readonly metrics: Pick<Metrics, 'setBreaker' | 'retryOverBudget'>
  /** A client span for each try. */
  readonly trace: Step
}

export function createStepFactory(parts: StepParts): (policy: RequestPolicy, scope: string) => StepSet {
  const { clock, random, metrics } = parts
  return (policy, scope) => {
    const { retries, circuitBreaker } = policy
    const budget = createRetryBudget(
      { percent: retries.budgetPercent, minPerSecond: retries.budgetMinPerSecond },
      clock,
    )
    const breaker = circuitBreaker === null ? null : createBreaker(circuitBreaker, scope)
    if (breaker !== null) {
      metrics.setBreaker(scope, breaker.state)
      breaker.onState((state) => metrics.setBreaker(scope, state))
    }
    const steps = [
      parts.trace,
      createTimeoutStep({ ...policy, perTryTimeoutMs: retries.perTryTimeoutMs }, clock),
      breaker === null ? null : createBreakCircuitStep(breaker),
      createRetryStep({ policy: retries, budget, random, onOverBudget: metrics.retryOverBudget }),
    ].filter((step) => step !== null)
    return {
      steps,
      close() {
        breaker?.close()
        if (breaker !== null) metrics.setBreaker(scope, null)
      },
    }
  }
}
