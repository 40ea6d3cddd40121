// Asks the breaker before a request goes on and tells it how the request ended, after its retries: as the client saw it.
import { FAULTS } from '#flow/error.ts'
import type { Exchange, Step } from '#flow/exchange.ts'
import { isGrpcFailure } from '#shared/grpc-status.ts'
import type { Breaker, Permit } from './breaker.ts'

export function createBreakCircuitStep(breaker: Breaker): Step {
  const permits = new WeakMap<Exchange, Permit>()
  return {
    name: 'break-circuit',
    onRequest(exchange) {
      const permit = breaker.admit()
      if (permit === null) {
        exchange.fail('BREAKER_OPEN', breaker.name)
        return 'answered'
      }
      permits.set(exchange, permit)
      return 'continue'
    },
    onResponse(exchange) {
      const permit = permits.get(exchange)
      // An answer without an end (events, a tunnel) must not hold the breaker half-open.
      const { status = 0, grpcStatus = null } = exchange.attempts.at(-1) ?? {}
      if (permit?.isProbe && isGood(status) && !isGrpcFailure(grpcStatus ?? 0)) permit.success()
      return 'continue'
    },
    onEnd(exchange) {
      const permit = permits.get(exchange)
      permits.delete(exchange)
      if (permit !== undefined) settle(permit, exchange)
    },
  }
}

const isGood = (status: number): boolean => status > 0 && status < 500

function settle(permit: Permit, exchange: Exchange): void {
  if (exchange.reason !== null) {
    // A fault of 4xx is the client's own.
    if (FAULTS[exchange.reason].status >= 500) permit.failure()
    else permit.cancel()
  } else if (exchange.status === 0) {
    permit.cancel()
  } else if (isGood(exchange.status) && !isGrpcFailure(exchange.grpcStatus ?? 0)) {
    permit.success()
  } else {
    permit.failure()
  }
}
