// An exchange for the tests of this folder: it records what steps do to it. The engine itself stands in relay/.

import type { FaultCode } from '#flow/error.ts'
import type { Attempt, Exchange } from '#flow/exchange.ts'
import type { HttpStream } from '#flow/stream.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { Address } from '#shared/address.ts'
import type { RetryPolicy } from '#shared/decide/config.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'

const ADDRESS: Address = { host: '10.0.0.1', port: 80 }

export const DEFAULT_RETRIES: RetryPolicy = {
  attempts: 2,
  statuses: [503],
  methods: ['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS', 'TRACE'],
  perTryTimeoutMs: null,
  backoffBaseMs: 25,
  budgetPercent: 20,
  budgetMinPerSecond: 3,
}

const AT_FIRST = { hasBody: false, retryDelayMs: 0, span: null, generation: 0 }

export class RecordingExchange {
  readonly failures: [FaultCode, string | undefined][] = []
  readonly failedAttempts: FaultCode[] = []
  readonly exchange: Exchange

  constructor(method = 'GET') {
    const facts = { method, authority: 'a', path: '/', isPathPlain: true, query: '', fields: [], random: 0 }
    const policy = {
      retries: DEFAULT_RETRIES,
      requestTimeoutMs: null,
      idleTimeoutMs: null,
      circuitBreaker: null,
      from: [],
    }
    this.exchange = {
      direction: 'outbound',
      downstream: {} as HttpStream,
      destination: ADDRESS,
      source: null,
      service: null,
      peer: null,
      attempts: [],
      version: '1.1',
      isGrpc: false,
      grpcStatus: null,
      facts,
      decision: { kind: 'forward', backend: 'b', rule: null, policy },
      policy,
      request: [],
      response: [],
      startedAt: 0,
      status: 0,
      requestBytes: 0,
      responseBytes: 0,
      reason: null,
      detail: null,
      isReplayable: true,
      hasLeft: true,
      isAnswered: false,
      ...AT_FIRST,
      proceed() {},
      fail: (code, detail) => {
        this.exchange.reason = code
        this.failures.push([code, detail])
      },
      failAttempt: (code) => this.failedAttempts.push(code),
    }
  }

  /** A further try, as the engine makes it; `isMeshed`: its sidecar proved an identity. */
  addAttempt(status = 0, isMeshed = true, grpcStatus: number | null = null): Attempt {
    const identity = isMeshed ? parseSpiffeId('spiffe://weft.local/ns/shop/sa/catalog') : null
    const endpoint: Endpoint = { address: ADDRESS, weight: 1, identity, pod: 'one' }
    const attempt: Attempt = {
      lease: { endpoint, done() {} },
      upstream: null,
      startedAt: 0,
      status,
      grpcStatus,
      isReused: false,
      span: null,
    }
    this.exchange.attempts.push(attempt)
    return attempt
  }
}
