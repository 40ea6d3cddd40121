// The deadlines of a request, where a policy asks for them. A tunnel (after a 101) has no end to wait for, so only the
// idle timeout holds for it; the timeout of a try ends with the endpoint's head, as nothing can be retried after that.

import { Deadlines } from '#flow/deadlines.ts'
import type { Exchange, Step } from '#flow/exchange.ts'
import type { Clock } from '#shared/clock.ts'

export interface TimeoutConfig {
  /** From the request's head to the last byte of the answer. */
  readonly requestTimeoutMs: number | null
  /** Without a byte in either direction. */
  readonly idleTimeoutMs: number | null
  /** From sending a try's head to the endpoint's head. */
  readonly perTryTimeoutMs: number | null
}

/** null when nothing is limited. */
export function createTimeoutStep(config: TimeoutConfig, clock: Clock): Step | null {
  const whole = create(config.requestTimeoutMs, clock, (exchange) => {
    if (exchange.status !== 101) exchange.fail('REQUEST_TIMEOUT')
  })
  const idle = create(config.idleTimeoutMs, clock, (exchange) => exchange.fail('IDLE_TIMEOUT'))
  const oneTry = create(config.perTryTimeoutMs, clock, (exchange) => exchange.failAttempt('TRY_TIMEOUT'))
  if (whole === null && idle === null && oneTry === null) return null
  const step: Step = {
    name: 'timeout',
    onRequest(exchange) {
      whole?.start(exchange)
      idle?.start(exchange)
      return 'continue'
    },
    onEnd(exchange) {
      whole?.stop(exchange)
      idle?.stop(exchange)
      oneTry?.stop(exchange)
    },
  }
  return { ...step, ...(idle && watchActivity(idle)), ...(oneTry && watchTries(oneTry)) }
}

function create(
  lengthMs: number | null,
  clock: Clock,
  onExpire: (exchange: Exchange) => void,
): Deadlines<Exchange> | null {
  return lengthMs === null ? null : new Deadlines(lengthMs, clock, onExpire)
}

const watchActivity = (idle: Deadlines<Exchange>): Pick<Step, 'onActivity'> => ({
  onActivity: (exchange) => idle.touch(exchange),
})

const watchTries = (oneTry: Deadlines<Exchange>): Pick<Step, 'onAttempt' | 'onResponse' | 'onAttemptFailed'> => ({
  onAttempt: (exchange) => oneTry.start(exchange),
  onResponse(exchange) {
    oneTry.stop(exchange)
    return 'continue'
  },
  onAttemptFailed(exchange) {
    oneTry.stop(exchange)
    return 'continue'
  },
})
