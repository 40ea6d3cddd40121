import { expect, test } from 'vitest'
import { formatDuration, renderTree, type TraceSpan } from './trace-tree.ts'

const span = (spanId: string, parentSpanId: string | null, change: Partial<TraceSpan> = {}): TraceSpan => ({
  spanId,
  parentSpanId,
  service: 'web',
  name: 'GET /',
  kind: 'server',
  startUs: 1_000_000,
  durationUs: 1_500,
  status: 'unset',
  statusMessage: '',
  attributes: {},
  ...change,
})

test('a trace over services is a tree in the order of time, with identities and endpoints', () => {
  const spans = [
    span('04', '03', {
      service: 'catalog',
      kind: 'server',
      startUs: 1_000_500,
      attributes: { 'weft.source.identity': 'spiffe://a/ns/shop/sa/web' },
    }),
    span('01', null, { durationUs: 12_340, attributes: { 'http.response.status_code': 200 } }),
    span('03', '01', {
      kind: 'client',
      startUs: 1_000_400,
      attributes: {
        'http.response.status_code': 200,
        'http.request.resend_count': 1,
        'weft.endpoint': 'catalog-1',
        'network.peer.address': 'fd77::5',
        'network.peer.port': 8080,
      },
    }),
    span('02', '01', { kind: 'client', startUs: 1_000_100, status: 'error', statusMessage: 'connection refused' }),
  ]
  expect(renderTree({ traceId: 'abc', spans })).toEqual([
    'trace abc: 4 spans of 2 services, 12.3 ms',
    '└─ web: GET / (server) 12.3 ms [200]',
    '   ├─ web: GET / (client) 1.5 ms ERROR connection refused',
    '   └─ web: GET / (client) 1.5 ms [200, retry 1, endpoint catalog-1, peer [fd77::5]:8080]',
    '      └─ catalog: GET / (server) 1.5 ms [from spiffe://a/ns/shop/sa/web]',
  ])
})

test('a span whose parent is not there stands as a root, and none is lost in a circle', () => {
  const spans = [span('01', 'ff'), span('02', '03'), span('03', '02')]
  const lines = renderTree({ traceId: 'abc', spans })
  expect(lines).toHaveLength(4)
  expect(lines[1]).toBe('└─ web: GET / (server) 1.5 ms')
})

test('a chain as long as a trace may be is drawn', () => {
  const spans = Array.from({ length: 2_000 }, (_, at) => span(String(at), at === 0 ? null : String(at - 1)))
  expect(renderTree({ traceId: 'abc', spans })).toHaveLength(2_001)
})

test('what an application wrote into a span cannot move the cursor of a terminal', () => {
  const lines = renderTree({
    traceId: 'abc',
    spans: [span('01', null, { name: 'GET \u001b[2J\n\u202e', service: '\u0007' })],
  })
  expect(lines[1]).toBe('└─ ?: GET ?[2J?? (server) 1.5 ms')
})

test('a trace without spans is one line', () => {
  expect(renderTree({ traceId: 'abc', spans: [] })).toEqual(['trace abc: 0 spans of 0 services'])
})

test.each([
  [0, '0 us'],
  [999, '999 us'],
  [1_000, '1.0 ms'],
  [999_900, '999.9 ms'],
  [1_200_000, '1.20 s'],
])('%d microseconds are %s', (microseconds, text) => {
  expect(formatDuration(microseconds)).toBe(text)
})
