// The scenes of the demo: each drives some traffic, tells what it saw, and names what must be true of it.
import { setTimeout as sleep } from 'node:timers/promises'
import { sumOf } from './metrics.ts'
import type { Report } from './report.ts'
import type { LogLine, Shop } from './shop.ts'
import { rootsOf, servicesOf } from './trace.ts'
import { eventually } from './wait.ts'

const IDENTITY = 'spiffe://shop.example/ns/shop/sa/'

/** The lines of a sidecar's access log that pass, once there are as many as that. */
function linesOf(shop: Shop, workload: string, passes: (line: LogLine) => boolean, count = 1): Promise<LogLine[]> {
  const ask = async () => (await shop.accessLog(workload)).filter(passes)
  return eventually(ask, (lines) => lines.length >= count)
}

async function showIdentities(shop: Shop, report: Report): Promise<void> {
  await shop.get('/catalog', { 'x-canary': 'v2' })
  const isIt = (direction: string) => (line: LogLine) =>
    line['weft.direction'] === direction && line['url.path'] === '/products'
  const [client] = await linesOf(shop, 'web', isIt('outbound'))
  const [server] = await linesOf(shop, 'catalog-v2', isIt('inbound'))
  report.say(`web's sidecar called       ${client?.dst}`)
  report.say(`catalog's sidecar admitted ${server?.src}`)
  const found = `${JSON.stringify(client)} and ${JSON.stringify(server)}`
  report.expect('web verified catalog', client?.dst === `${IDENTITY}catalog`, found)
  report.expect('catalog verified web', server?.src === `${IDENTITY}web`, found)
  report.expect(
    'both tell of the same trace',
    client?.trace_id !== undefined && client.trace_id === server?.trace_id,
    found,
  )
}

async function showStrict(shop: Shop, report: Report): Promise<void> {
  const heard = await shop.askInClear('catalog-v1')
  report.say(`asked catalog in clear: ${heard === '' ? 'the connection was closed without a byte' : heard}`)
  report.expect('catalog is Strict and refuses what is in clear', heard === '', heard)
  const { status } = await shop.get('/catalog')
  report.expect('web is Permissive by a MeshPolicy and answers', status === 200, `status ${status}`)
}

interface Catalog {
  readonly version?: string
}

async function showCanary(shop: Shop, report: Report): Promise<void> {
  const total = 400
  const counts: Record<string, number> = {}
  const ask = async (headers?: Record<string, string>) => {
    const { body } = await shop.get<Catalog>('/catalog', headers)
    const version = body.version ?? 'error'
    counts[version] = (counts[version] ?? 0) + 1
  }
  for (let done = 0; done < total; done += 8) await Promise.all(Array.from({ length: 8 }, () => ask()))
  const { v1 = 0, v2 = 0 } = counts
  report.say(`${total} requests: ${v1} to v1, ${v2} to v2`)
  report.expect('every request was answered', v1 + v2 === total, JSON.stringify(counts))
  // Chance puts it outside of this once in some hundred thousand runs.
  report.expect('about one in twenty went to v2', v2 >= 4 && v2 <= 45, `${v2} of ${total}`)
  for (let i = 0; i < 20; i++) await ask({ 'x-canary': 'v2' })
  report.say(`20 requests with "x-canary: v2": ${(counts['v2'] ?? 0) - v2} to v2`)
  report.expect('who asks for v2 gets it', counts['v2'] === v2 + 20, JSON.stringify(counts))
}

async function showRetries(shop: Shop, report: Report): Promise<void> {
  const total = 30
  const retriesSoFar = async () =>
    sumOf(await shop.metrics('web'), 'weft_retries_total', { weft_service: 'shop/reviews' })
  const isRefusal = (line: LogLine) => line['http.response.status_code'] === 503 && line['weft.direction'] === 'inbound'
  const refusalsSoFar = async () => (await shop.accessLog('reviews')).filter(isRefusal).length
  const [retriesBefore, refusalsBefore] = [await retriesSoFar(), await refusalsSoFar()]
  let good = 0
  for (let i = 0; i < total; i++) {
    const { body } = await shop.get<{ status?: number }>('/reviews')
    if (body.status === 200) good++
    await sleep(50)
  }
  const retries = (await retriesSoFar()) - retriesBefore
  const refusals = (await eventually(refusalsSoFar, (count) => count - refusalsBefore >= retries)) - refusalsBefore
  report.say(`the failing replica answered 503 to ${refusals} tries, and web's sidecar made ${retries} tries anew`)
  report.say(`${total} requests: ${good} answered 200`)
  report.expect('nobody noticed the failing replica', good === total, `${good} of ${total}`)
  const found = `${refusals} refusals, ${retries} retries`
  report.expect('there was something to hide', refusals >= 1 && retries === refusals, found)
  report.expect('after five failures in a row it was left alone', refusals <= 5, found)
}

const BREAKER = ['closed', 'half open', 'open']

async function showBreaker(shop: Shop, report: Report): Promise<void> {
  const most = 150
  const state = async () => BREAKER[sumOf(await shop.metrics('web'), 'weft_circuit_breaker_state')]
  const isRefusal = ({ body }: { body: { error?: string } }) => (body.error ?? '').includes('BREAKER_OPEN')
  report.say(`before: ${await state()}`)
  let failed = 0
  while (failed < most && !isRefusal(await shop.get('/reviews?outage'))) failed++
  const open = await state()
  report.say(`after ${failed} failed requests: ${open}; web's sidecar answers at once, with the reason BREAKER_OPEN`)
  report.expect('the breaker opens', failed < most && open === 'open', `${open} after ${failed} failures`)
  const startedAt = performance.now()
  const { body } = await eventually(
    () => shop.get<{ status?: number }>('/reviews'),
    (answer) => answer.body.status === 200,
  )
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const closed = await state()
  report.say(`the outage is over; ${seconds} s later reviews answers ${body.status} and the breaker is ${closed}`)
  report.expect(
    'the breaker closes again',
    body.status === 200 && closed === 'closed',
    `${closed}, status ${body.status}`,
  )
}

async function showRedis(shop: Shop, report: Report): Promise<void> {
  await shop.request('POST', '/cart?product=3')
  const answer = await shop.exec('cart', 'redis-cli', '-h', 'redis', 'HGET', 'cart:guest', '3')
  report.say(`web put yarn into the cart; redis-cli in cart's pod finds ${answer} of it`)
  report.expect('the cart is in Redis', Number(answer) >= 1, answer)
  const isFromCart = (line: LogLine) => line.msg === 'connection' && line['weft.direction'] === 'inbound'
  const [connection] = (await linesOf(shop, 'redis', isFromCart)).slice(-1)
  report.say(`redis's sidecar admitted   ${connection?.src}`)
  report.expect(
    'Redis was reached by mutual TLS from cart',
    connection?.src === `${IDENTITY}cart`,
    JSON.stringify(connection),
  )
}

interface Price {
  readonly cents?: number
  readonly echo?: string
}

async function showWebSocket(shop: Shop, report: Report): Promise<void> {
  const { body } = await shop.get<Price>('/price')
  report.say(`the loom costs ${((body.cents ?? 0) / 100).toFixed(2)}; the feed echoed "${body.echo}"`)
  report.expect('the echo came back', (body.echo ?? '').startsWith('hello at '), JSON.stringify(body))
}

interface Receipt {
  readonly replica?: string
}

async function showPayment(shop: Shop, report: Report): Promise<void> {
  const total = 20
  const counts: Record<string, number> = {}
  for (let i = 0; i < total; i++) {
    const { body } = await shop.request<Receipt>('POST', '/pay?product=2')
    const replica = body.replica ?? 'error'
    counts[replica] = (counts[replica] ?? 0) + 1
  }
  const { '0': first = 0, '1': second = 0 } = counts
  report.say(`${total} payments over web's one connection: ${first} to payment-0, ${second} to payment-1`)
  report.expect('every payment was taken', first + second === total, JSON.stringify(counts))
  report.expect('calls of one connection are balanced one by one', first >= 2 && second >= 2, JSON.stringify(counts))
  const { body } = await shop.get<{ receipts?: readonly Receipt[] }>('/receipts?count=5')
  const from = [...new Set(body.receipts?.map(({ replica }) => replica))]
  report.say(`a stream of ${body.receipts?.length} receipts came from payment-${from.join(' and payment-')}`)
  report.expect(
    'a stream comes whole, and from one replica',
    body.receipts?.length === 5 && from.length === 1,
    JSON.stringify(body),
  )
  const { body: refusal } = await shop.request<{ error?: string }>('POST', '/pay?cents=0')
  report.say(`nothing to pay: "${refusal.error}"`)
  report.expect(
    'a gRPC status comes back',
    refusal.error === '3 INVALID_ARGUMENT: nothing to pay',
    JSON.stringify(refusal),
  )
}

async function showTrace(shop: Shop, report: Report): Promise<void> {
  await shop.get('/')
  const isHome = (line: LogLine) => line['url.path'] === '/' && line['weft.direction'] === 'inbound'
  const id = (await linesOf(shop, 'web', isHome)).at(-1)?.trace_id ?? 'none'
  const calls = await linesOf(shop, 'web', (line) => line.trace_id === id && line['weft.direction'] === 'outbound', 3)
  const tries = calls.reduce((sum, call) => sum + (call['weft.attempts'] ?? 0), 0)
  // One of web, and of each try one at either end.
  const wanted = 1 + 2 * tries
  const nothing = { spans: [], drawing: [] }
  // Spans come in batches: at first control knows nothing of the trace.
  const ask = () => shop.trace(id).catch(() => nothing)
  const trace = await eventually(ask, ({ spans }) => spans.length >= wanted)
  for (const line of trace.drawing) report.say(line.replaceAll('spiffe://shop.example/ns/shop/sa/', ''))
  const services = servicesOf(trace)
  report.expect('it spans at least four services', services.length >= 4, services.join(', ') || 'no span')
  report.expect(
    'each try has a span at either end',
    trace.spans.length === wanted,
    `${trace.spans.length} of ${wanted}`,
  )
  report.expect('it is one tree', rootsOf(trace) === 1, `${rootsOf(trace)} roots`)
}

type Scene = (shop: Shop, report: Report) => Promise<void>

export const SCENES: readonly (readonly [title: string, scene: Scene])[] = [
  ['Who calls whom: one request, as both sidecars saw it', showIdentities],
  ['Who is not in the mesh: this machine, which has no identity', showStrict],
  ['The canary: HTTPRoute catalog, 95 to 5, and a header that chooses', showCanary],
  ['Redis, which is not HTTP: its bytes inside mutual TLS', showRedis],
  ['A WebSocket: web asks the price feed', showWebSocket],
  ['gRPC: web pays, by calls and by a stream', showPayment],
  ['One trace: GET / of web, which asks three services', showTrace],
  ['Retries: one of two replicas of reviews answers 503 to everything', showRetries],
  ['The circuit breaker: now all of reviews fails', showBreaker],
]
