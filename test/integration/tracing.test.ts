// Traces as `weft traces` shows them: what applications and sidecars of a chain make of the context of a caller.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { renderTree, type Trace, type TraceSpan } from '#shared/trace-tree.ts'
import { controlApi } from '../../cli/control-api.ts'
import { type Answered, type Caller, callerIn, callerPod, until } from '../support/caller.ts'
import { chainPod } from '../support/chain.ts'
import { meshPolicy, trafficPolicy } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'

let mesh: TestMesh
let client: Caller

beforeAll(async () => {
  mesh = await startMesh(
    meshPolicy('all', { tracing: { samplingPercent: 100, propagators: ['tracecontext', 'baggage'] } }) +
      callerPod() +
      chainPod('front', 'http://middle:8080') +
      chainPod('middle', 'http://last:8080') +
      chainPod('last', '') +
      trafficPolicy('last', { retries: { statuses: [503] } }),
  )
  client = callerIn(mesh)
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

interface Seen {
  readonly service: string
  readonly headers: Readonly<Record<string, string>>
}

const hex = (bytes: number) => randomBytes(bytes).toString('hex')
const seenIn = (answer: Answered) => (JSON.parse(answer.body) as { seen: readonly Seen[] }).seen
const api = () => controlApi(mesh.running.state, '/run/weft')

async function ask(path: string, headers: Record<string, string> = {}): Promise<readonly Seen[]> {
  const answer = await client.request(`http://front:8080${path}`, { headers })
  expect(answer.status).toBe(200)
  return seenIn(answer)
}

/** Once it has as many spans, which come from four sidecars in batches. */
async function traceOf(traceId: string, spans: number): Promise<Trace> {
  let trace: Trace = { traceId, spans: [] }
  await until(`${spans} spans of trace ${traceId}`, async () => {
    trace = (await api().traces(100)).find((each) => each.traceId === traceId) ?? trace
    return trace.spans.length >= spans
  })
  return trace
}

const withKind = ({ spans }: Trace, service: string, kind: TraceSpan['kind']) =>
  spans.filter((span) => span.service === service && span.kind === kind)

function only<T>(found: readonly T[]): T {
  expect(found).toHaveLength(1)
  return found[0] as T
}

/** client -> front -> middle -> last: each server span is the child of the caller's client span, and that of its server span. */
function expectChain(trace: Trace, parent: string | null): void {
  let above = parent
  for (const [caller, called] of [
    ['client', 'front'],
    ['front', 'middle'],
    ['middle', 'last'],
  ] as const) {
    const out = only(withKind(trace, caller, 'client'))
    expect(out.parentSpanId, `client span of ${caller}`).toBe(above)
    const into = only(withKind(trace, called, 'server'))
    expect(into.parentSpanId, `server span of ${called}`).toBe(out.spanId)
    above = into.spanId
  }
  expect(trace.spans).toHaveLength(6)
}

const partOf = (header: string | undefined, at: number) => header?.split('-')[at] ?? ''

test('a request that brings no trace begins one, which joins all services by the headers that they copy', async () => {
  const seen = await ask('/')
  const [traceId] = new Set(seen.map(({ headers }) => partOf(headers['traceparent'], 1)))
  const trace = await traceOf(traceId ?? '', 6)

  expectChain(trace, null)
  expect(renderTree(trace)[0]).toMatch(/6 spans of 4 services/)
})

test('the W3C context of a caller goes on, with its state and its baggage', async () => {
  const [traceId, spanId] = [hex(16), hex(8)]
  const seen = await ask('/', {
    traceparent: `00-${traceId}-${spanId}-01`,
    tracestate: 'vendor=1',
    baggage: 'user=7',
  })
  for (const { headers } of seen) {
    expect(partOf(headers['traceparent'], 1)).toBe(traceId)
    expect([headers['tracestate'], headers['baggage']]).toEqual(['vendor=1', 'user=7'])
  }
  expectChain(await traceOf(traceId, 6), spanId)
})

test('the B3 context of a caller goes on, in one header and in several, in the form in which it came', async () => {
  for (const form of ['single', 'multi'] as const) {
    const [traceId, spanId] = [hex(16), hex(8)]
    const multi = { 'x-b3-traceid': traceId, 'x-b3-spanid': spanId, 'x-b3-sampled': '1' }
    const seen = await ask('/', form === 'single' ? { b3: `${traceId}-${spanId}-1` } : multi)
    for (const { headers } of seen) {
      const found = form === 'single' ? partOf(headers['b3'], 0) : headers['x-b3-traceid']
      expect(found, form).toBe(traceId)
    }
    expectChain(await traceOf(traceId, 6), spanId)
  }
})

test("a caller's decision not to sample is kept through all services", async () => {
  const ids = [hex(16), hex(16), hex(16)] as const
  const asked: readonly Record<string, string>[] = [
    { traceparent: `00-${ids[0]}-${hex(8)}-00` },
    { b3: `${ids[1]}-${hex(8)}-0` },
    { 'x-b3-traceid': ids[2], 'x-b3-spanid': hex(8), 'x-b3-sampled': '0' },
  ]
  for (const headers of asked) {
    for (const each of await ask('/', headers)) expect(each.headers).toMatchObject(headers)
  }
  // The planted marker: a trace that came after them is there, so theirs would be.
  const marker = hex(16)
  await ask('/', { traceparent: `00-${marker}-${hex(8)}-01` })
  await traceOf(marker, 6)
  const known = (await api().traces(100)).map(({ traceId }) => traceId)
  for (const id of ids) expect(known).not.toContain(id)
})

test('a traceparent that cannot be read is replaced by a new one, and its state goes', async () => {
  for (const broken of ['00-0000', `00-${'0'.repeat(32)}-${hex(8)}-01`, `ff-${hex(16)}-${hex(8)}-01`]) {
    const seen = await ask('/', { traceparent: broken, tracestate: 'vendor=1' })
    const [first] = seen
    expect(first?.headers['traceparent'], broken).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/)
    expect(first?.headers['tracestate'], broken).toBeUndefined()
    expectChain(await traceOf(partOf(first?.headers['traceparent'], 1), 6), null)
  }
})

test('a try that is made again is a span beside the first, with its number', async () => {
  const traceId = hex(16)
  await ask('/?fail=once', { traceparent: `00-${traceId}-${hex(8)}-01` })
  const trace = await traceOf(traceId, 8)

  const tries = [...withKind(trace, 'middle', 'client')].sort((a, b) => a.startUs - b.startUs)
  expect(tries.map(({ attributes }) => attributes['http.request.resend_count'])).toEqual([undefined, 1])
  expect(tries.map(({ attributes }) => attributes['http.response.status_code'])).toEqual([503, 200])
  expect(new Set(tries.map(({ parentSpanId }) => parentSpanId)).size).toBe(1)
  const served = withKind(trace, 'last', 'server')
  expect(new Set(served.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set(tries.map(({ spanId }) => spanId)))
})
