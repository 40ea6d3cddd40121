// The receivers with the exporters that the world uses, and with what nobody should send.
import { gzipSync } from 'node:zlib'
import { SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { OTLPTraceExporter as GrpcExporter } from '@opentelemetry/exporter-trace-otlp-grpc'
import { OTLPTraceExporter as HttpExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { describe, expect, test } from 'vitest'
import { startGrpcReceiver } from './grpc-receiver.ts'
import { startHttpReceiver } from './http-receiver.ts'
import { TraceRing } from './ring.ts'

const LOOPBACK = [{ host: '127.0.0.1', port: 0 }]

async function start(kind: 'grpc' | 'http') {
  const ring = new TraceRing()
  const receiver = await (kind === 'grpc' ? startGrpcReceiver : startHttpReceiver)(LOOPBACK, ring)
  const port = receiver.addresses[0]?.port ?? 0
  return { ring, port, url: `http://127.0.0.1:${port}`, [Symbol.asyncDispose]: () => receiver.close() }
}

type ReadableSpan = Parameters<HttpExporter['export']>[0][number]
const TRACE_ID = '0af7651916cd43dd8448eb211c80319c'

/** What an SDK would hand to its exporter, by hand: an SDK of its own would set the globals of this process. */
const SPAN = {
  name: 'GET /cart',
  kind: SpanKind.CLIENT,
  spanContext: () => ({ traceId: TRACE_ID, spanId: 'b7ad6b7169203331', traceFlags: 1 }),
  parentSpanContext: { traceId: TRACE_ID, spanId: '00f067aa0ba902b7', traceFlags: 1 },
  startTime: [1_790_000_000, 123_456_789],
  endTime: [1_790_000_000, 125_456_789],
  duration: [0, 2_000_000],
  status: { code: SpanStatusCode.ERROR, message: 'no endpoint' },
  attributes: {
    'http.response.status_code': 503,
    'weft.endpoint': 'cart-0',
    list: ['a', 'b'],
    isOpen: true,
    load: 0.5,
  },
  links: [],
  events: [],
  ended: true,
  resource: { attributes: { 'service.name': 'web' }, merge: () => SPAN.resource, getRawAttributes: () => [] },
  instrumentationScope: { name: 'test' },
  droppedAttributesCount: 0,
  droppedEventsCount: 0,
  droppedLinksCount: 0,
} as unknown as ReadableSpan

async function exportOneSpan(exporter: HttpExporter | GrpcExporter): Promise<unknown> {
  const { promise, resolve } = Promise.withResolvers<unknown>()
  exporter.export([SPAN], resolve)
  const result = await promise
  await exporter.shutdown()
  return result
}

const KEPT = {
  spanId: 'b7ad6b7169203331',
  parentSpanId: '00f067aa0ba902b7',
  service: 'web',
  name: 'GET /cart',
  kind: 'client',
  startUs: 1_790_000_000_123_456,
  durationUs: 2_000,
  status: 'error',
  statusMessage: 'no endpoint',
  attributes: { 'http.response.status_code': 503, 'weft.endpoint': 'cart-0', list: 'a,b', isOpen: true, load: 0.5 },
}

describe('the span receiver', () => {
  test('keeps what the gRPC exporter of OpenTelemetry sends', async () => {
    await using receiver = await start('grpc')
    const result = await exportOneSpan(new GrpcExporter({ url: receiver.url }))
    expect(result).toEqual({ code: 0 })
    expect(receiver.ring.find(TRACE_ID)?.spans).toEqual([KEPT])
  })

  test.each(['none', 'gzip'])(
    'keeps what the HTTP exporter of OpenTelemetry sends, compression %s',
    async (compression) => {
      await using receiver = await start('http')
      const options = { url: `${receiver.url}/v1/traces`, compression } as ConstructorParameters<typeof HttpExporter>[0]
      const result = await exportOneSpan(new HttpExporter(options))
      expect(result).toEqual({ code: 0 })
      expect(receiver.ring.find(TRACE_ID)?.spans).toEqual([KEPT])
    },
  )

  test('takes protobuf over HTTP and answers in kind', async () => {
    await using receiver = await start('http')
    // resourceSpans { scopeSpans { spans { traceId, spanId, name "x", start 1000000 ns, end 2000000 ns } } }, by hand.
    const time = (field: number, value: bigint) => {
      const bytes = Buffer.alloc(9, (field << 3) | 1)
      bytes.writeBigUInt64LE(value, 1)
      return bytes
    }
    const field = (number: number, ...content: Buffer[]) => {
      const body = Buffer.concat(content)
      return Buffer.concat([Buffer.from([(number << 3) | 2, body.length]), body])
    }
    const span = [
      field(1, Buffer.alloc(16, 0xab)),
      field(2, Buffer.alloc(8, 1)),
      field(5, Buffer.from('x')),
      time(7, 1_000_000n),
      time(8, 2_000_000n),
    ]
    const body = field(1, field(2, field(2, ...span)))

    const response = await fetch(`${receiver.url}/v1/traces`, {
      method: 'POST',
      body,
      headers: { 'content-type': 'application/x-protobuf' },
    })

    expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/x-protobuf'])
    expect((await response.arrayBuffer()).byteLength).toBe(0)
    expect(receiver.ring.find('ab'.repeat(16))?.spans).toMatchObject([{ name: 'x', startUs: 1_000, durationUs: 1_000 }])
  })

  test('says which spans it did not take', async () => {
    await using receiver = await start('http')
    const good = {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      startTimeUnixNano: '1000000',
      endTimeUnixNano: 2_000_000,
      kind: 'SPAN_KIND_SERVER',
    }
    const spans = [
      good,
      { ...good, traceId: '0'.repeat(32) },
      { ...good, spanId: 'xyz' },
      { ...good, startTimeUnixNano: undefined },
    ]
    const response = await fetch(`${receiver.url}/v1/traces`, {
      method: 'POST',
      body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans }] }] }),
      headers: { 'content-type': 'application/json; charset=utf-8' },
    })
    expect(await response.json()).toEqual({
      partialSuccess: { rejectedSpans: 3, errorMessage: 'spans without ids or times' },
    })
    expect(receiver.ring.find('a'.repeat(32))?.spans).toMatchObject([{ kind: 'server', service: 'unknown_service' }])
  })

  const big = Buffer.alloc(5 * 1024 * 1024, 0x20)
  const json = { 'content-type': 'application/json' }
  test.each([
    ['another path', '/v1/metrics', { method: 'POST', body: '{}', headers: json }, 404],
    ['another method', '/v1/traces', { method: 'PUT', body: '{}', headers: json }, 405],
    ['another type', '/v1/traces', { method: 'POST', body: '{}', headers: { 'content-type': 'text/plain' } }, 415],
    [
      'the name of a property of every object as type',
      '/v1/traces',
      { method: 'POST', body: '{}', headers: { 'content-type': 'constructor' } },
      415,
    ],
    [
      'another compression',
      '/v1/traces',
      { method: 'POST', body: '{}', headers: { ...json, 'content-encoding': 'br' } },
      415,
    ],
    ['no JSON', '/v1/traces', { method: 'POST', body: '{', headers: json }, 400],
    ['JSON of another shape', '/v1/traces', { method: 'POST', body: '{"resourceSpans":{"a":1}}', headers: json }, 400],
    ['no gzip', '/v1/traces', { method: 'POST', body: 'x', headers: { ...json, 'content-encoding': 'gzip' } }, 400],
    ['a large body', '/v1/traces', { method: 'POST', body: big, headers: json }, 413],
    [
      'a small body that unpacks to a large one',
      '/v1/traces',
      { method: 'POST', body: gzipSync(big), headers: { ...json, 'content-encoding': 'gzip' } },
      413,
    ],
  ] as const)('refuses %s', async (_, path, request, status) => {
    await using receiver = await start('http')
    const sending = fetch(`${receiver.url}${path}`, request).then((response) => response.status)
    // A refusal of a body that is still being written may break the connection off before its status is read.
    const found = await (status === 413 ? sending.catch(() => status) : sending)
    expect(found).toBe(status)
    expect(receiver.ring.spanCount).toBe(0)
  })

  test('cuts long texts and many attributes to size', async () => {
    await using receiver = await start('http')
    const attributes = Array.from({ length: 1_000 }, (_, at) => ({
      key: `k${at}`,
      value: { stringValue: 'x'.repeat(10_000) },
    }))
    const span = {
      traceId: 'a'.repeat(32),
      spanId: 'b'.repeat(16),
      name: 'n'.repeat(10_000),
      startTimeUnixNano: '1000',
      endTimeUnixNano: '2000',
      attributes,
    }
    await fetch(`${receiver.url}/v1/traces`, {
      method: 'POST',
      body: gzipSync(JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] })),
      headers: { ...json, 'content-encoding': 'gzip' },
    })
    expect(receiver.ring.spanCount).toBe(0)

    span.attributes = attributes.slice(0, 100)
    await fetch(`${receiver.url}/v1/traces`, {
      method: 'POST',
      body: JSON.stringify({ resourceSpans: [{ scopeSpans: [{ spans: [span] }] }] }),
      headers: json,
    })
    const [kept] = receiver.ring.find('a'.repeat(32))?.spans ?? []
    expect(kept?.name).toHaveLength(256)
    expect(Object.keys(kept?.attributes ?? {})).toHaveLength(64)
    expect(kept?.attributes['k0']).toHaveLength(256)
  })
})
