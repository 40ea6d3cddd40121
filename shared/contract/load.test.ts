import { describe, expect, test } from 'vitest'
import type { ControlMessage, SidecarMessage } from './discovery.ts'
import { loadContract } from './load.ts'

function throughTheWire<T>(
  name: Parameters<typeof loadContract>[0],
  method: string,
  side: 'request' | 'response',
  message: T,
): unknown {
  const definition = loadContract(name).service[method]
  if (definition === undefined) throw new Error(`no method ${method}`)
  return side === 'request'
    ? definition.requestDeserialize(definition.requestSerialize(message))
    : definition.responseDeserialize(definition.responseSerialize(message))
}

describe('the contracts', () => {
  test('every field of a signing request and its answer arrives as it was sent', () => {
    const request = { csr: Buffer.from([0x30, 0x01, 0xff]), token: 'secret' }
    const response = { chainPem: 'leaf', rootsPem: 'root', notAfterMs: 1_900_000_000_123 }

    expect(throughTheWire('certificates', 'Sign', 'request', request)).toEqual(request)
    expect(throughTheWire('certificates', 'Sign', 'response', response)).toEqual(response)
  })

  test('every field that a sidecar sends arrives as it was sent', () => {
    const held = { type: 'DESTINATION', name: '10.0.0.1:80', version: 'v1' } as const
    const messages: SidecarMessage[] = [
      {
        message: 'hello',
        hello: { pod: 'web-0', software: '0.1.0', addresses: ['10.0.0.1'], openedAtMs: 1_900_000_000_123 },
      },
      { message: 'subscribe', subscribe: { resources: [held, { type: 'WORKLOAD', name: 'web-0', version: '' }] } },
      { message: 'unsubscribe', unsubscribe: { resources: [held] } },
      { message: 'report', report: { applied: [{ ...held, error: 'no such algorithm' }] } },
    ]
    for (const message of messages) expect(throughTheWire('discovery', 'Sync', 'request', message)).toEqual(message)
  })

  test('every field that control sends arrives as it was sent', () => {
    const endpoint = {
      address: '[fd00::1]:80',
      weight: 3,
      identity: 'spiffe://weft.local/ns/shop/sa/web',
      pod: 'web-0',
    }
    const name = { name: 'shop/web:80/ipv6', version: 'v2' }
    const messages: ControlMessage[] = [
      { message: 'welcome', welcome: { software: '0.1.0', spreadMs: 500 } },
      { message: 'move', move: { withinMs: 8000 } },
      {
        message: 'update',
        update: {
          resources: [
            { type: 'ENDPOINTS', ...name, state: 'endpoints', endpoints: { endpoints: [endpoint] } },
            {
              type: 'ENDPOINTS',
              ...name,
              state: 'delta',
              delta: { baseVersion: 'v1', upserts: [endpoint], removals: ['10.0.0.1:80'] },
            },
            { type: 'DESTINATION', ...name, state: 'notOurs', notOurs: { cidr: '0.0.0.0/1' } },
            { type: 'WORKLOAD', ...name, state: 'configuration', configuration: '{}' },
          ],
        },
      },
    ]
    for (const message of messages) expect(throughTheWire('discovery', 'Sync', 'response', message)).toEqual(message)
  })

  test('every field that a replica of control reports arrives as it was sent', () => {
    const late = [{ object: 'HTTPRoute shop/split', error: 'no such filter' }]
    const report = {
      replica: 'weft-control-a',
      changed: [{ pod: 'shop/web-0', openedAtMs: 1_900_000_000_123, objects: ['HTTPRoute shop/split'], late }],
      gone: ['shop/web-1'],
      compiled: [{ object: 'HTTPRoute shop/split', generation: 7 }],
      forgotten: ['TrafficPolicy shop/old'],
      isWhole: true,
    }

    expect(throughTheWire('replicas', 'Report', 'request', report)).toEqual(report)
  })

  test('the nanoseconds of a span keep every digit', () => {
    const span = {
      traceId: Buffer.alloc(16, 7),
      spanId: Buffer.alloc(8, 8),
      startTimeUnixNano: '1790000000123456789',
      endTimeUnixNano: '1790000000123456790',
    }
    const request = { resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }

    expect(throughTheWire('otlp-trace', 'Export', 'request', request)).toMatchObject(request)
  })
})
