import { expect, test } from 'vitest'
import type { ConnectionEnded, RequestEnded } from '#flow/event.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { type AccessLogOptions, createAccessLog } from './access-log.ts'
import { connectionEnded, requestEnded } from './event.fixture.ts'

const SELF = parseSpiffeId('spiffe://weft.local/ns/shop/sa/catalog')

function startLog(options: AccessLogOptions = {}, isEnabled = () => true) {
  const writes: string[] = []
  const log = createAccessLog((text) => void writes.push(text), isEnabled, { self: () => SELF, ...options })
  const lines = () =>
    writes
      .join('')
      .split('\n')
      .slice(0, -1)
      .map((line) => JSON.parse(line) as Record<string, unknown>)
  return { log, writes, lines }
}

function lineOf(event: RequestEnded | ConnectionEnded): Record<string, unknown> | undefined {
  const { log, lines } = startLog()
  log(event)
  log.flush()
  return lines()[0]
}

test('a request is one line with the names of OpenTelemetry, both identities and the trace', () => {
  expect(
    lineOf(
      requestEnded({
        traceId: '4bf92f3577b34da6a3ce929d0e0e4736',
        userAgent: 'curl/8',
        route: 'shop/r',
        detail: 'why',
        reason: 'NO_ROUTE',
      }),
    ),
  ).toEqual({
    ts: '2023-11-14T22:13:20.012Z',
    level: 'info',
    msg: 'request',
    'weft.direction': 'inbound',
    'http.request.method': 'GET',
    'url.path': '/items/7',
    'http.response.status_code': 200,
    'network.protocol.name': 'http',
    'network.protocol.version': '1.1',
    'server.address': 'catalog:8080',
    'http.route': 'shop/r',
    'user_agent.original': 'curl/8',
    'http.request.body.size': 0,
    'http.response.body.size': 12,
    'weft.attempts': 1,
    'network.peer.address': '10.77.0.5',
    'network.peer.port': 40_000,
    'weft.destination': '10.77.0.9:8080',
    'weft.service': 'shop/catalog',
    src: 'spiffe://weft.local/ns/shop/sa/web',
    dst: SELF,
    'weft.reason': 'NO_ROUTE',
    duration_ms: 12.346,
    'weft.detail': 'why',
    trace_id: '4bf92f3577b34da6a3ce929d0e0e4736',
  })
})

test('a connection is one line with its bytes; outbound we are the source', () => {
  expect(lineOf(connectionEnded())).toEqual({
    ts: '2023-11-14T22:13:21.500Z',
    level: 'info',
    msg: 'connection',
    'weft.direction': 'outbound',
    'network.protocol.name': 'opaque',
    'weft.bytes_sent': 100,
    'weft.bytes_received': 200,
    'network.peer.address': 'fd77::7',
    'network.peer.port': 6379,
    'weft.destination': '10.96.0.7:6379',
    'weft.service': 'shop/redis',
    src: SELF,
    dst: 'spiffe://weft.local/ns/shop/sa/redis',
    duration_ms: 1500,
  })
})

test('no byte of a client reaches the log raw: line breaks, quotes, escapes of terminals and odd code units are escaped', () => {
  const { log, writes, lines } = startLog()
  const nasty = `/"\\\n\r\t\u0000\u001b[31m\u007f\u009b\u00e9\u2028\ud800{"msg":"forged"}`
  log(requestEnded({ path: nasty, userAgent: nasty, authority: nasty, method: nasty, detail: nasty }))
  log.flush()

  expect(writes.join('')).toMatch(/^[ -~]+\n$/)
  expect(lines()).toHaveLength(1)
  expect(lines()[0]).toMatchObject({ 'url.path': nasty, 'user_agent.original': nasty, 'server.address': nasty })
  expect(lines()[0]).toMatchObject({ 'http.request.method': '_OTHER', 'http.request.method_original': nasty })
})

test('a path of 60 KiB takes no more than 1 KiB of the log', () => {
  const line = lineOf(requestEnded({ path: `/${'a'.repeat(60_000)}` }))

  expect(line?.['url.path']).toBe(`/${'a'.repeat(1023)}...`)
})

test('lines of one turn of the event loop go out in one write', async () => {
  const { log, writes, lines } = startLog()
  for (let i = 0; i < 100; i++) log(requestEnded())
  expect(writes).toHaveLength(0)
  await new Promise(setImmediate)

  expect(writes).toHaveLength(1)
  expect(lines()).toHaveLength(100)
})

test('it can be turned off and on at any time', () => {
  let isEnabled = false
  const { log, lines } = startLog({}, () => isEnabled)
  log(requestEnded())
  isEnabled = true
  log(requestEnded())
  log.flush()

  expect(lines()).toHaveLength(1)
})

test('lines over the rate are dropped, counted and told once a second', () => {
  let at = 0
  const { log, lines } = startLog({ maxLinesPerSecond: 3, now: () => at })
  for (let i = 0; i < 10; i++) log(requestEnded())
  at = 1000
  for (let i = 0; i < 10; i++) log(requestEnded())
  at = 2000
  log(requestEnded())
  log.flush()

  expect(log.dropped()).toBe(14)
  expect(lines().map((line) => line['dropped'] ?? line['msg'])).toEqual([
    ...Array(3).fill('request'),
    7,
    ...Array(3).fill('request'),
    7,
    'request',
  ])
})

test('what waits for the end of a turn is bounded', () => {
  const { log, lines } = startLog({ maxPendingLength: 2000 })
  for (let i = 0; i < 100; i++) log(requestEnded())
  log.flush()

  expect(lines().length).toBeLessThan(10)
  expect(log.dropped()).toBe(100 - lines().length)
})
