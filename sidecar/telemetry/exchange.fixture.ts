// An exchange for the tests of this folder: only what telemetry reads.
import type { Attempt, Exchange } from '#flow/exchange.ts'
import type { HttpStream } from '#flow/stream.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import { USUAL_POLICY as POLICY } from '#shared/decide/usual-policy.fixture.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'

const STREAM: HttpStream = {
  sendHead() {},
  sendData: () => true,
  sendTrailers() {},
  reset() {},
  pause() {},
  resume() {},
  events: { onHead() {}, onData() {}, onTrailers() {}, onReset() {}, onDrain() {} },
  version: '1.1',
}

export const CATALOG_IDENTITY = parseSpiffeId('spiffe://weft.local/ns/shop/sa/catalog')
export const WEB_IDENTITY = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')

const ENDPOINT: Endpoint = {
  address: { host: '10.77.0.9', port: 8080 },
  weight: 1,
  identity: CATALOG_IDENTITY,
  pod: 'catalog-v1-0',
}

const IDLE = { proceed() {}, fail() {}, failAttempt() {} }

export function createExchange(overrides: Partial<Exchange> = {}): Exchange {
  const request = [':method', 'GET', ':scheme', 'http', ':authority', 'catalog:8080', ':path', '/items/7?token=abc']
  return {
    direction: 'inbound',
    downstream: STREAM,
    destination: { host: '10.77.0.9', port: 8080 },
    source: { host: '10.77.0.5', port: 40_000 },
    service: 'shop/catalog',
    peer: WEB_IDENTITY,
    attempts: [],
    version: '1.1',
    isGrpc: false,
    grpcStatus: null,
    facts: {
      method: 'GET',
      authority: 'catalog:8080',
      path: '/items/7',
      isPathPlain: true,
      query: 'token=abc',
      fields: request,
      random: 0,
    },
    decision: { kind: 'forward', backend: 'shop/catalog:8080', rule: null, policy: POLICY },
    policy: POLICY,
    request: [...request, 'User-Agent', 'curl/8'],
    response: [],
    startedAt: 0,
    status: 200,
    hasBody: false,
    requestBytes: 0,
    responseBytes: 12,
    reason: null,
    detail: null,
    isReplayable: true,
    hasLeft: false,
    isAnswered: false,
    span: null,
    generation: 0,
    ...IDLE,
    retryDelayMs: 0,
    ...overrides,
  }
}

export function createAttempt(overrides: Partial<Attempt> = {}): Attempt {
  return {
    lease: { endpoint: ENDPOINT, done() {} },
    upstream: STREAM,
    startedAt: 0,
    status: 200,
    grpcStatus: null,
    span: null,
    isReused: false,
    ...overrides,
  }
}

export function createWorkload(tracing: Partial<WorkloadConfig['tracing']>): WorkloadConfig {
  return {
    name: 'catalog-v1',
    namespace: 'shop',
    serviceAccount: 'catalog',
    labels: { version: 'v2' },
    mtls: 'Strict',
    ports: [],
    tracing: {
      endpoint: 'http://127.0.0.1:4318',
      protocol: 'http',
      samplingPercent: 100,
      propagators: ['tracecontext', 'baggage'],
      ...tracing,
    },
    accessLog: true,
  }
}
