// For tests and benchmarks: what control gives when no policy says anything. control/model/traffic.test.ts holds control to it.
import type { RequestPolicy } from './config.ts'

export const USUAL_POLICY: RequestPolicy = {
  retries: {
    attempts: 2,
    statuses: [],
    methods: ['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE'],
    grpcStatuses: [],
    perTryTimeoutMs: null,
    backoffBaseMs: 25,
    budgetPercent: 20,
    budgetMinPerSecond: 3,
  },
  requestTimeoutMs: null,
  idleTimeoutMs: null,
  circuitBreaker: null,
  from: [],
}
