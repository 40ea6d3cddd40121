// What a request passes on its way is the same with the Compat engine: routes, retries, the breaker, metrics and traces. Every request
// here has two Host fields, so that none of them could have passed our own codecs.
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { connect } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import type { RouteRule } from '#shared/decide/config.ts'
import { USUAL_POLICY } from '#shared/decide/usual-policy.fixture.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { parseExposition } from '../../sidecar/telemetry/exposition.fixture.ts'
import { createMetrics } from '../../sidecar/telemetry/metrics.ts'
import type { SpanExporter } from '../../sidecar/telemetry/span-queue.ts'
import { createTracing } from '../../sidecar/telemetry/trace.ts'
import { CATALOG_BACKEND, workloadConfig } from '../support/discovery.ts'
import { CLIENT_ID, type Pair, type PairOptions, portOf, SERVER_ID, startPair } from '../support/pair.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

async function startApp(answer: (request: IncomingMessage, response: ServerResponse) => void): Promise<number> {
  const server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(
    () => server.close(),
    () => server.closeAllConnections(),
  )
  return portOf(server)
}

async function compatPair({ config, ...options }: PairOptions): Promise<Pair> {
  const ports = [options.application, ...(options.replicas ?? [])].map(
    (port) => ({ port, protocol: 'http', service: 'shop/catalog', engine: 'compat' }) as const,
  )
  const pair = await startPair({
    ...options,
    config: { protocol: 'http', ...config, engine: 'compat' },
    workload: { ports },
  })
  closers.push(() => pair[Symbol.asyncDispose]())
  return pair
}

/** The status and the reason of the answer. */
async function ask(pair: Pair, path = '/', more = ''): Promise<string> {
  const socket = connect(pair.port, '127.0.0.1')
  closers.push(() => socket.destroy())
  socket.write(`GET ${path} HTTP/1.1\r\nHost: shop\r\nHost: other\r\n${more}Connection: close\r\n\r\n`)
  const text = (await socket.toArray()).join('')
  return `${text.slice(9, 12)} ${/x-weft-reason: (\w+)/.exec(text)?.[1] ?? ''}`.trim()
}

const requestsIn = (events: Pair['events']['client']) => events.filter((event) => event.kind === 'request')

test('routes decide over it', async () => {
  const rule: RouteRule = {
    route: { kind: 'HTTPRoute', namespace: 'shop', name: 'canary' },
    rule: '0',
    matches: [{ path: { type: 'Exact', value: '/here' }, headers: [{ name: 'X-Kind', type: 'Exact', value: 'new' }] }],
    backends: [{ backend: CATALOG_BACKEND, weight: 1 }],
    policy: USUAL_POLICY,
  }
  const application = await startApp((request, response) => response.end(request.url))
  const pair = await compatPair({ application, config: { rules: [rule] } })

  expect(await ask(pair, '/here?a', 'x-kind: new\r\n')).toBe('200')
  expect(await ask(pair, '/here', 'x-kind: old\r\n')).toBe('404 NO_ROUTE')
  expect(requestsIn(pair.events.client)).toMatchObject([
    { status: 200, route: 'shop/canary' },
    { status: 404, reason: 'NO_ROUTE' },
  ])
})

test('retries take another endpoint, after a status and after an answer that broke off before its head', async () => {
  let isCut = false
  const failing = await startApp((request, response) => {
    if (isCut) request.socket.destroy()
    else response.writeHead(503).end()
  })
  const fit = await startApp((_, response) => response.end('ok'))
  const retries = { ...USUAL_POLICY.retries, statuses: [502, 503], backoffBaseMs: 0 }
  const pair = await compatPair({
    application: failing,
    replicas: [fit],
    config: { policy: { ...USUAL_POLICY, retries } },
  })
  for (const cut of [false, true]) {
    isCut = cut
    // Each endpoint in turn: some of four requests begin with the one that fails.
    for (let i = 0; i < 4; i++) expect(await ask(pair)).toBe('200')
    const attempts = requestsIn(pair.events.client.splice(0)).map((event) => event.attempts)
    expect([attempts.length, Math.max(...attempts)]).toEqual([4, 2])
  }
})

test('the breaker opens for it, and tells the metric', async () => {
  const application = await startApp((_, response) => response.writeHead(500).end())
  const states: (string | null)[] = []
  const pair = await compatPair({
    application,
    config: {
      policy: {
        ...USUAL_POLICY,
        retries: { ...USUAL_POLICY.retries, attempts: 0 },
        circuitBreaker: {
          errorThresholdPercent: 50,
          volumeThreshold: 3,
          rollingWindowMs: 600_000,
          resetTimeoutMs: 600_000,
        },
      },
    },
    telemetry: () => ({
      tracing: { inbound: { name: 'none' }, outbound: { name: 'none' } },
      metrics: { setBreaker: (_, state) => states.push(state), connectionOpened() {}, retryOverBudget() {} },
    }),
  })
  const answers: string[] = []
  for (let i = 0; i < 4; i++) answers.push(await ask(pair))

  expect(answers).toEqual(['500', '500', '500', '503 BREAKER_OPEN'])
  expect(states).toEqual(['closed', 'open'])
})

test('metrics count it at both ends, with its version, its caller and the reason of a refusal', async () => {
  const application = await startApp((_, response) => response.end('hello'))
  const pair = await compatPair({ application })
  expect(await ask(pair)).toBe('200')
  expect(await ask(pair, '/', 'Content-Type: application/grpc\r\n')).toBe('501 COMPAT_GRPC')

  const pageOf = (events: Pair['events']['client']) => {
    const metrics = createMetrics({ version: '1.2.3' })
    for (const event of events) metrics.sink(event)
    return parseExposition(metrics.render())
  }
  const usual = { weft_service: 'shop/catalog', http_request_method: 'GET', network_protocol_version: '1.1' }
  const good = { ...usual, http_response_status_code: '200' }
  const refused = { ...usual, http_response_status_code: '501', error_type: 'COMPAT_GRPC', weft_reason: 'COMPAT_GRPC' }
  const server = pageOf(pair.events.server)
  expect(server.value('http_server_requests_total', { ...good, weft_peer: CLIENT_ID })).toBe(1)
  expect(server.value('http_server_response_body_size_bytes_total', { ...good, weft_peer: CLIENT_ID })).toBe(5)
  expect(server.value('http_server_requests_total', { ...refused, weft_peer: CLIENT_ID })).toBe(1)
  const called = { ...good, weft_peer: SERVER_ID, server_address: 'catalog.shop', server_port: '8080' }
  expect(pageOf(pair.events.client).value('http_client_requests_total', called)).toBe(1)
})

test('a trace runs through it: one span of the call and one of the answer, which the application hears as its parent', async () => {
  const heard: IncomingMessage['headers'][] = []
  const application = await startApp((request, response) => {
    heard.push(request.headers)
    response.end('ok')
  })
  const spans: Parameters<SpanExporter['export']>[0] = []
  const tracings = ['web', 'catalog'].map((name, seed) => {
    const tracing = { endpoint: 'http://127.0.0.1:4317', protocol: 'grpc', samplingPercent: 100 } as const
    const workload = workloadConfig({ name, tracing: { ...tracing, propagators: ['tracecontext'] } })
    const exporter: SpanExporter = {
      export(batch, done) {
        spans.push(...batch)
        done({ code: 0 })
      },
      shutdown: async () => {},
    }
    return createTracing({
      workload: new Watched(workload),
      clock: systemClock,
      log: silentLog,
      version: '1.2.3',
      random: () => (seed + Math.random()) / 2,
      resource: {},
      createExporter: async () => exporter,
    })
  })
  for (const tracing of tracings) await tracing.settled()
  const [web, catalog] = tracings as [(typeof tracings)[0], (typeof tracings)[0]]
  const metrics = { setBreaker() {}, connectionOpened() {}, retryOverBudget() {} }
  const pair = await compatPair({
    application,
    telemetry: (direction) => ({ tracing: direction === 'outbound' ? web : catalog, metrics }),
  })
  const trace = '4bf92f3577b34da6a3ce929d0e0e4736'
  expect(await ask(pair, '/a', `Traceparent: 00-${trace}-00f067aa0ba902b7-01\r\n`)).toBe('200')
  for (const tracing of tracings) await tracing.shutdown()

  const [answered, called] = spans.toSorted((a, b) => a.kind - b.kind)
  expect(spans.map((span) => span.spanContext().traceId)).toEqual([trace, trace])
  expect(called?.parentSpanContext?.spanId).toBe('00f067aa0ba902b7')
  expect(answered?.parentSpanContext?.spanId).toBe(called?.spanContext().spanId)
  expect(answered?.attributes).toMatchObject({ 'url.path': '/a', 'http.response.status_code': 200 })
  expect(heard[0]?.['traceparent']).toBe(`00-${trace}-${answered?.spanContext().spanId}-01`)
  expect(heard[0]?.host).toBe('shop')
})
