import { expect, test } from 'vitest'
import type { ConnectionEnded, RequestEnded } from '#flow/event.ts'
import { connectionEnded, requestEnded } from './event.fixture.ts'
import { parseExposition } from './exposition.fixture.ts'
import { METRICS } from './metric-table.ts'
import { createMetrics, type Metrics, type MetricsOptions } from './metrics.ts'

function startMetrics(options: Partial<MetricsOptions> = {}): Metrics {
  return createMetrics({ version: '1.2.3', ...options })
}

function samplesAfter(events: readonly (RequestEnded | ConnectionEnded)[], options: Partial<MetricsOptions> = {}) {
  const metrics = startMetrics(options)
  for (const event of events) metrics.sink(event)
  return parseExposition(metrics.render())
}

test('a request that came in is counted with its method, status, service, caller and version', () => {
  const page = samplesAfter([requestEnded({ requestBytes: 3, responseBytes: 12 })])

  const labels = {
    weft_service: 'shop/catalog',
    weft_peer: 'spiffe://weft.local/ns/shop/sa/web',
    http_request_method: 'GET',
    http_response_status_code: '200',
    network_protocol_version: '1.1',
  }
  expect(page.value('http_server_requests_total', labels)).toBe(1)
  expect(page.value('http_server_request_body_size_bytes_total', labels)).toBe(3)
  expect(page.value('http_server_response_body_size_bytes_total', labels)).toBe(12)
  expect(page.value('http_server_request_duration_seconds_count', labels)).toBe(1)
})

test('a request that went out is counted by the service it called, with its tries', () => {
  const page = samplesAfter([
    requestEnded({ direction: 'outbound', attempts: 3, route: 'shop/canary', status: 503, reason: 'UPSTREAM_CLOSED' }),
  ])

  expect(
    page.value('http_client_requests_total', {
      weft_service: 'shop/catalog',
      weft_peer: 'spiffe://weft.local/ns/shop/sa/web',
      http_route: 'shop/canary',
      http_request_method: 'GET',
      http_response_status_code: '503',
      network_protocol_version: '1.1',
      error_type: 'UPSTREAM_CLOSED',
      weft_reason: 'UPSTREAM_CLOSED',
      server_address: 'catalog.shop',
      server_port: '8080',
    }),
  ).toBe(1)
  expect(page.value('weft_retries_total', { weft_service: 'shop/catalog' })).toBe(2)
})

test.each([
  { direction: 'inbound', grpcStatus: 5, name: 'NOT_FOUND', isError: false },
  { direction: 'inbound', grpcStatus: 14, name: 'UNAVAILABLE', isError: true },
  { direction: 'outbound', grpcStatus: 5, name: 'NOT_FOUND', isError: true },
  { direction: 'outbound', grpcStatus: 0, name: 'OK', isError: false },
  { direction: 'outbound', grpcStatus: 77, name: '_OTHER', isError: true },
] as const)('$direction, a call that ended with $grpcStatus of gRPC is counted as $name', (given) => {
  const { direction, grpcStatus, name, isError } = given
  const metrics = createMetrics({ version: '1' })
  metrics.sink(requestEnded({ direction, grpcStatus, version: '2' }))

  const line = metrics.render().match(/^http_(?:server|client)_requests_total\{.*$/m)?.[0] ?? ''
  expect(line).toContain(`rpc_status_code="${name}"`)
  expect(line.includes(`error_type="${name}"`)).toBe(isError)
})

test('the histogram has the boundaries of OpenTelemetry, cumulative, and its sum and count are right', () => {
  const durations = [0, 5, 5.1, 30, 99, 1000, 10_000, 10_001]
  const page = samplesAfter(durations.map((durationMs) => requestEnded({ durationMs })))
  const buckets = page.all('http_server_request_duration_seconds_bucket')

  expect(buckets.map((sample) => [sample.labels['le'], sample.value])).toEqual([
    ['0.005', 2],
    ['0.01', 3],
    ['0.025', 3],
    ['0.05', 4],
    ['0.075', 4],
    ['0.1', 5],
    ['0.25', 5],
    ['0.5', 5],
    ['0.75', 5],
    ['1', 6],
    ['2.5', 6],
    ['5', 6],
    ['7.5', 6],
    ['10', 7],
    ['+Inf', 8],
  ])
  expect(page.all('http_server_request_duration_seconds_sum')[0]?.value).toBeCloseTo(21.1401, 10)
  expect(page.all('http_server_request_duration_seconds_count')[0]?.value).toBe(8)
})

test.each([
  { direction: 'inbound', status: 404, reason: null, errorType: undefined },
  { direction: 'inbound', status: 500, reason: null, errorType: '500' },
  { direction: 'outbound', status: 404, reason: null, errorType: '404' },
  { direction: 'outbound', status: 404, reason: 'NO_ROUTE', errorType: 'NO_ROUTE' },
  { direction: 'inbound', status: 0, reason: null, errorType: '_OTHER' },
  { direction: 'inbound', status: 0, reason: 'UPSTREAM_CLOSED', errorType: 'UPSTREAM_CLOSED' },
] as const)('error_type of $status ($reason) $direction is $errorType', ({ errorType, ...event }) => {
  const name = event.direction === 'inbound' ? 'http_server_requests_total' : 'http_client_requests_total'
  const [sample] = samplesAfter([requestEnded(event)]).all(name)

  expect(sample?.labels['error_type']).toBe(errorType)
  expect(sample?.labels['http_response_status_code']).toBe(event.status === 0 ? undefined : String(event.status))
})

test('neither a path nor a Host header nor a made-up method reaches a label', () => {
  const secret = 'attacker-chosen'
  const metrics = startMetrics()
  for (let i = 0; i < 50; i++) {
    for (const direction of ['inbound', 'outbound'] as const) {
      metrics.sink(
        requestEnded({ direction, path: `/${secret}${i}`, authority: `${secret}${i}`, method: `${secret}${i}` }),
      )
    }
  }

  const text = metrics.render()
  expect(text).not.toContain(secret)
  expect(parseExposition(text).all('http_server_requests_total')).toHaveLength(1)
  expect(parseExposition(text).all('http_client_requests_total')[0]?.labels['http_request_method']).toBe('_OTHER')
})

test('an application that dials the whole world fills a hundred addresses and no more', () => {
  const events = Array.from({ length: 300 }, (_, index) =>
    requestEnded({
      direction: 'outbound',
      service: null,
      destination: { host: `198.51.${index >> 8}.${index & 255}`, port: 443 },
    }),
  )
  const samples = samplesAfter(events).all('http_client_requests_total')

  expect(samples).toHaveLength(101)
  expect(samples.find((sample) => sample.labels['server_address'] === '_OTHER')?.value).toBe(200)
})

test('beyond the limit of label sets everything new is one overflow series, and nothing known is lost', () => {
  const events = Array.from({ length: 20 }, (_, index) => requestEnded({ status: 200 + index }))
  const page = samplesAfter([...events, ...events], { maxSeries: 5 })
  const samples = page.all('http_server_requests_total')

  expect(samples).toHaveLength(6)
  expect(samples.find((sample) => sample.labels['otel_metric_overflow'] === 'true')?.value).toBe(30)
  expect(samples.reduce((sum, sample) => sum + sample.value, 0)).toBe(40)
  expect(page.value('weft_metric_series', {})).toBe(5)
  expect(page.value('weft_metric_overflow_total', {})).toBe(30)
})

test('label values are escaped so that a strict parser reads them back', () => {
  const awkward = 'a"b\\c\nd'
  const page = samplesAfter([requestEnded({ service: awkward }), requestEnded({ service: 'bell\u0007\u009b' })])

  expect(page.all('http_server_requests_total').map((sample) => sample.labels['weft_service'])).toEqual([
    awkward,
    'bell??',
  ])
})

test('connections are counted when they open and when they are over, with their bytes', () => {
  const metrics = startMetrics()
  metrics.connectionOpened('outbound')
  metrics.connectionOpened('outbound')
  metrics.sink(connectionEnded({ bytesSent: 10, bytesReceived: 20 }))
  const page = parseExposition(metrics.render())

  const labels = {
    weft_direction: 'outbound',
    network_protocol_name: 'opaque',
    weft_service: 'shop/redis',
    weft_peer: 'spiffe://weft.local/ns/shop/sa/redis',
  }
  expect(page.value('weft_tcp_connections_opened_total', { weft_direction: 'outbound' })).toBe(2)
  expect(page.value('weft_tcp_connections_open', { weft_direction: 'outbound' })).toBe(1)
  expect(page.value('weft_tcp_connections_open', { weft_direction: 'inbound' })).toBe(0)
  expect(page.value('weft_tcp_connections_closed_total', labels)).toBe(1)
  expect(page.value('weft_tcp_sent_bytes_total', labels)).toBe(10)
  expect(page.value('weft_tcp_received_bytes_total', labels)).toBe(20)
})

test('breakers and certificates are shown as they stand and vanish when they are gone', () => {
  const metrics = startMetrics()
  metrics.setBreaker('shop/catalog', 'open')
  metrics.setBreaker('shop/cart', 'halfOpen')
  metrics.setBreaker('shop/cart', null)
  metrics.setCertificateExpiry('workload', new Date(1_800_000_000_500))
  metrics.setCertificateExpiry('root', new Date(0))
  metrics.setCertificateExpiry('root', null)
  metrics.retryOverBudget('shop/catalog')
  const page = parseExposition(metrics.render())

  expect(page.all('weft_circuit_breaker_state')).toEqual([
    { name: 'weft_circuit_breaker_state', labels: { weft_service: 'shop/catalog' }, value: 2 },
  ])
  expect(page.all('weft_certificate_expiry_timestamp_seconds')).toEqual([
    {
      name: 'weft_certificate_expiry_timestamp_seconds',
      labels: { weft_certificate: 'workload' },
      value: 1_800_000_000.5,
    },
  ])
  expect(page.value('weft_retries_over_budget_total', { weft_service: 'shop/catalog' })).toBe(1)
})

test('every metric of the table appears, with its type, its help and no label that the table does not name', () => {
  const metrics = startMetrics({
    readings: {
      eventLoopDelay: () => 0.001,
      spansExported: () => 1,
      spansDropped: () => 2,
      accessLogDropped: () => 3,
    },
  })
  metrics.sink(requestEnded({ attempts: 2 }))
  metrics.sink(requestEnded({ direction: 'outbound', attempts: 2, reason: 'NO_ENDPOINT', route: 'shop/r' }))
  metrics.sink(connectionEnded({ reason: 'NOT_REDIRECTED' }))
  metrics.retryOverBudget('shop/catalog')
  metrics.setBreaker('shop/catalog', 'closed')
  metrics.setCertificateExpiry('workload', new Date(0))
  const page = parseExposition(metrics.render())

  for (const metric of Object.values(METRICS)) {
    expect(page.types.get(metric.name), metric.name).toBe(metric.type)
    expect(page.helps.get(metric.name), metric.name).toBe(metric.help)
  }
  const labels = new Map(
    Object.values(METRICS).map((metric) => [metric.name as string, metric.labels as readonly string[]]),
  )
  for (const sample of page.samples) {
    const family = page.familyOf(sample.name)
    const allowed = [...(labels.get(family) ?? []), 'le']
    expect(allowed, sample.name).toEqual(expect.arrayContaining(Object.keys(sample.labels)))
  }
  expect([...page.types.keys()].sort()).toEqual(
    Object.values(METRICS)
      .map((metric) => metric.name as string)
      .sort(),
  )
})

test('a sidecar that has seen nothing has a page that can be scraped', () => {
  const page = samplesAfter([])

  expect(page.value('weft_build_info', { version: '1.2.3' })).toBe(1)
  expect(page.all('process_resident_memory_bytes')[0]?.value).toBeGreaterThan(1e6)
})
