// Events as the data path emits them.
import type { ConnectionEnded, RequestEnded } from '#flow/event.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'

export function requestEnded(overrides: Partial<RequestEnded> = {}): RequestEnded {
  return {
    kind: 'request',
    direction: 'inbound',
    method: 'GET',
    authority: 'catalog:8080',
    path: '/items/7',
    route: null,
    service: 'shop/catalog',
    destination: { host: '10.77.0.9', port: 8080 },
    source: { host: '10.77.0.5', port: 40_000 },
    endpoint: { host: '10.77.0.9', port: 8080 },
    peer: parseSpiffeId('spiffe://weft.local/ns/shop/sa/web'),
    startedAt: 1_700_000_000_000,
    durationMs: 12.3456,
    status: 200,
    grpcStatus: null,
    requestBytes: 0,
    responseBytes: 12,
    attempts: 1,
    reason: null,
    detail: null,
    version: '1.1',
    userAgent: null,
    traceId: null,
    ...overrides,
  }
}

export function connectionEnded(overrides: Partial<ConnectionEnded> = {}): ConnectionEnded {
  return {
    kind: 'connection',
    direction: 'outbound',
    protocol: 'opaque',
    destination: { host: '10.96.0.7', port: 6379 },
    service: 'shop/redis',
    source: { host: '10.77.0.5', port: 40_000 },
    endpoint: { host: 'fd77::7', port: 6379 },
    peer: parseSpiffeId('spiffe://weft.local/ns/shop/sa/redis'),
    startedAt: 1_700_000_000_000,
    durationMs: 1500,
    bytesSent: 100,
    bytesReceived: 200,
    reason: null,
    ...overrides,
  }
}
