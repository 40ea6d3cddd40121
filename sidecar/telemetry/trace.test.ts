import { type Attributes, SpanKind, SpanStatusCode } from '@opentelemetry/api'
import { expect, test } from 'vitest'
import { fieldValue } from '#flow/fields.ts'
import { grpcStatusName } from '#shared/grpc-status.ts'
import { CATALOG_IDENTITY, createAttempt, createExchange, WEB_IDENTITY } from './exchange.fixture.ts'
import { onRule, PARENT, runTries, SAMPLED, startTracing, TRACE, withFields } from './trace.fixture.ts'

test('a request that comes in is a server span, child of what the caller sent, and the application sees that span as its parent', async () => {
  await using rig = await startTracing()
  const exchange = withFields(['traceparent', SAMPLED, 'tracestate', 'vendor=1', 'baggage', 'user=7'])

  rig.tracing.inbound.onRequest?.(exchange)
  rig.clock.advance(40)
  rig.tracing.inbound.onEnd?.(exchange)

  const [span] = await rig.spans()
  expect(span?.kind).toBe(SpanKind.SERVER)
  expect(span?.name).toBe('GET')
  expect(span?.spanContext().traceId).toBe(TRACE)
  expect(span?.parentSpanContext?.spanId).toBe(PARENT)
  expect(span?.spanContext().traceState?.serialize()).toBe('vendor=1')
  expect(fieldValue(exchange.request, 'traceparent')).toBe(`00-${TRACE}-${span?.spanContext().spanId}-01`)
  expect(fieldValue(exchange.request, 'tracestate')).toBe('vendor=1')
  expect(fieldValue(exchange.request, 'baggage')).toBe('user=7')
  expect(exchange.span?.spanContext().traceId).toBe(TRACE)
  expect(span?.duration).toEqual([0, 40_000_000])
  expect(span?.startTime).toEqual([1_700_000_000, 0])
  expect(span?.status.code).toBe(SpanStatusCode.UNSET)
})

test('a server span tells method, path, scheme, server, peer, sizes, client and both identities, never the query', async () => {
  await using rig = await startTracing()
  const exchange = createExchange({ ...onRule('catalog-canary') })

  rig.tracing.inbound.onRequest?.(exchange)
  rig.tracing.inbound.onEnd?.(exchange)

  const [span] = await rig.spans()
  expect(span?.name).toBe('GET shop/catalog-canary')
  expect(span?.attributes).toEqual({
    'http.request.method': 'GET',
    'http.route': 'shop/catalog-canary',
    'url.path': '/items/7',
    'url.scheme': 'http',
    'server.address': 'catalog',
    'server.port': 8080,
    'client.address': '10.77.0.5',
    'network.peer.address': '10.77.0.5',
    'network.peer.port': 40_000,
    'network.protocol.version': '1.1',
    'http.response.status_code': 200,
    'http.request.body.size': 0,
    'http.response.body.size': 12,
    'user_agent.original': 'curl/8',
    'weft.service': 'shop/catalog',
    'weft.source.identity': WEB_IDENTITY,
    'weft.destination.identity': CATALOG_IDENTITY,
  } satisfies Attributes)
})

test('spans are from the workload, unless the sidecar or the environment of OpenTelemetry knows better', async () => {
  await using rig = await startTracing(
    {},
    {
      otelResourceAttributes: 'deployment.environment.name=blue%20one,broken,k8s.pod.name=x',
      otelServiceName: 'renamed',
      resource: { 'service.instance.id': 'catalog-v1-0', 'k8s.node.name': '' },
    },
  )
  const exchange = createExchange()

  rig.tracing.inbound.onRequest?.(exchange)
  rig.tracing.inbound.onEnd?.(exchange)

  const [span] = await rig.spans()
  expect(span?.resource.attributes).toMatchObject({
    'service.name': 'renamed',
    'service.namespace': 'shop',
    'service.version': 'v2',
    'service.instance.id': 'catalog-v1-0',
    'k8s.namespace.name': 'shop',
    'k8s.pod.name': 'x',
    'deployment.environment.name': 'blue one',
  })
  expect(span?.resource.attributes).not.toHaveProperty(['k8s.node.name'])
})

test.each([
  { direction: 'inbound', status: 404, isError: false },
  { direction: 'inbound', status: 503, isError: true },
  { direction: 'outbound', status: 302, isError: false },
  { direction: 'outbound', status: 404, isError: true },
  { direction: 'outbound', status: 503, isError: true },
] as const)('$status is an error on the $direction span: $isError', async ({ direction, status, isError }) => {
  await using rig = await startTracing()
  const exchange = createExchange({ direction, status })
  const attempt = createAttempt({ status })
  if (direction === 'outbound') exchange.attempts.push(attempt)

  rig.tracing[direction].onRequest?.(exchange)
  rig.tracing[direction].onAttempt?.(exchange, attempt, [...exchange.request])
  rig.tracing[direction].onAttemptEnd?.(exchange, attempt, null)
  rig.tracing[direction].onEnd?.(exchange)

  const spans = await rig.spans()
  expect(spans).toHaveLength(1)
  expect(spans[0]?.status.code).toBe(isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET)
  expect(spans[0]?.attributes['error.type']).toBe(isError ? String(status) : undefined)
})

test.each([
  { direction: 'inbound', grpcStatus: 5, isError: false },
  { direction: 'inbound', grpcStatus: 14, isError: true },
  { direction: 'outbound', grpcStatus: 5, isError: true },
  { direction: 'outbound', grpcStatus: 0, isError: false },
] as const)(
  'a call of gRPC that ended with $grpcStatus is told as one, an error $direction: $isError',
  async (given) => {
    const { direction, grpcStatus, isError } = given
    await using rig = await startTracing()
    const exchange = createExchange({ direction, isGrpc: true, version: '2', grpcStatus })
    const attempt = createAttempt({ grpcStatus })
    if (direction === 'outbound') exchange.attempts.push(attempt)

    rig.tracing[direction].onRequest?.(exchange)
    rig.tracing[direction].onAttempt?.(exchange, attempt, [...exchange.request])
    rig.tracing[direction].onAttemptEnd?.(exchange, attempt, null)
    rig.tracing[direction].onEnd?.(exchange)

    const name = grpcStatusName(grpcStatus)
    const [span] = await rig.spans()
    expect(span?.attributes).toMatchObject({
      'rpc.system.name': 'grpc',
      'rpc.method': 'items/7',
      'rpc.status_code': name,
      'http.response.status_code': 200,
    })
    expect(span?.attributes['error.type']).toBe(isError ? name : undefined)
    expect(span?.status.code).toBe(isError ? SpanStatusCode.ERROR : SpanStatusCode.UNSET)
  },
)

test('each try is a client span under what the application sent, and each endpoint sees its own try as the parent', async () => {
  await using rig = await startTracing()
  const exchange = withFields(['traceparent', SAMPLED], { direction: 'outbound', ...onRule('catalog') })
  const heads = runTries(rig, exchange, ['CONNECT_FAILED', null])

  const [first, second] = await rig.spans()
  expect([first?.kind, second?.kind]).toEqual([SpanKind.CLIENT, SpanKind.CLIENT])
  expect([first?.parentSpanContext?.spanId, second?.parentSpanContext?.spanId]).toEqual([PARENT, PARENT])
  expect(first?.spanContext().spanId).not.toBe(second?.spanContext().spanId)
  expect(heads.map((head) => fieldValue(head, 'traceparent'))).toEqual([
    `00-${TRACE}-${first?.spanContext().spanId}-01`,
    `00-${TRACE}-${second?.spanContext().spanId}-01`,
  ])
  expect(fieldValue(exchange.request, 'traceparent')).toBe(SAMPLED)
  expect(first?.attributes).toMatchObject({ 'error.type': 'CONNECT_FAILED', 'weft.reason': 'CONNECT_FAILED' })
  expect(first?.attributes['http.request.resend_count']).toBeUndefined()
  expect(first?.attributes['http.response.status_code']).toBeUndefined()
  expect(second?.name).toBe('GET')
  expect(second?.attributes).toEqual({
    'http.request.method': 'GET',
    'http.request.resend_count': 1,
    'http.response.status_code': 200,
    'url.full': 'http://catalog:8080/items/7',
    'server.address': 'catalog',
    'server.port': 8080,
    'network.peer.address': '10.77.0.9',
    'network.peer.port': 8080,
    'network.protocol.version': '1.1',
    'user_agent.original': 'curl/8',
    'weft.endpoint': 'catalog-v1-0',
    'weft.route': 'shop/catalog',
    'weft.service': 'shop/catalog',
    'weft.source.identity': CATALOG_IDENTITY,
    'weft.destination.identity': CATALOG_IDENTITY,
  } satisfies Attributes)
})

test('the tries of a request without a parent belong to one trace', async () => {
  await using rig = await startTracing()
  const exchange = createExchange({ direction: 'outbound' })

  runTries(rig, exchange, ['CONNECT_FAILED', null])

  const spans = await rig.spans()
  expect(spans).toHaveLength(2)
  expect(new Set(spans.map((span) => span.spanContext().traceId))).toEqual(
    new Set([exchange.span?.spanContext().traceId]),
  )
  expect(spans.map((span) => span.parentSpanContext)).toEqual([undefined, undefined])
})

test('a request that the sidecar refuses before any try is a span with the reason', async () => {
  await using rig = await startTracing()
  const exchange = createExchange({
    direction: 'outbound',
    status: 503,
    reason: 'BREAKER_OPEN',
    detail: 'shop/catalog',
  })

  rig.tracing.outbound.onRequest?.(exchange)
  rig.tracing.outbound.onEnd?.(exchange)

  const [span] = await rig.spans()
  expect(span?.attributes).toMatchObject({ 'error.type': 'BREAKER_OPEN', 'weft.reason': 'BREAKER_OPEN' })
  expect(span?.status).toEqual({ code: SpanStatusCode.ERROR, message: 'shop/catalog' })
})

test('a try that got no connection is a span although its head was never made', async () => {
  await using rig = await startTracing()
  const exchange = withFields(['traceparent', SAMPLED], { direction: 'outbound' })
  const attempt = createAttempt({ upstream: null, status: 0, startedAt: 0 })

  rig.tracing.outbound.onRequest?.(exchange)
  exchange.attempts.push(attempt)
  rig.clock.advance(7)
  rig.tracing.outbound.onAttemptEnd?.(exchange, attempt, 'CONNECT_TIMEOUT')

  const [span] = await rig.spans()
  expect(span?.duration).toEqual([0, 7_000_000])
  expect(span?.attributes['weft.reason']).toBe('CONNECT_TIMEOUT')
})

test('an unknown method is _OTHER in the attribute and HTTP in the name, with the original beside it', async () => {
  await using rig = await startTracing()
  const exchange = createExchange()
  exchange.facts.method = 'BREW'

  rig.tracing.inbound.onRequest?.(exchange)
  rig.tracing.inbound.onEnd?.(exchange)

  const [span] = await rig.spans()
  expect(span?.name).toBe('HTTP')
  expect(span?.attributes).toMatchObject({ 'http.request.method': '_OTHER', 'http.request.method_original': 'BREW' })
})
