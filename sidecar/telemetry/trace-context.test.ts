import { expect, test } from 'vitest'
import { fieldValue, hasField } from '#flow/fields.ts'
import { createExchange, createWorkload } from './exchange.fixture.ts'
import { PARENT, runOnce, SAMPLED, startTracing, TRACE, UNSAMPLED, withFields } from './trace.fixture.ts'
import type { TracingOptions } from './trace.ts'

test.each(['inbound', 'outbound'] as const)('a decision not to sample passes %s untouched', async (direction) => {
  await using rig = await startTracing()
  const fields = ['traceparent', UNSAMPLED, 'tracestate', 'vendor=1', 'b3', '0']
  const exchange = withFields(fields, { direction })
  const before = [...exchange.request]

  runOnce(rig, direction, exchange)

  expect(exchange.request).toEqual(before)
  expect(exchange.span?.spanContext().traceId).toBe(TRACE)
  expect(await rig.spans()).toEqual([])
})

test.each(['inbound', 'outbound'] as const)(
  'a new trace that is not chosen says so to all further hops (%s)',
  async (direction) => {
    await using rig = await startTracing({ samplingPercent: 0 })
    const exchange = createExchange({ direction })

    runOnce(rig, direction, exchange)

    const traceId = exchange.span?.spanContext().traceId
    expect(fieldValue(exchange.request, 'traceparent')).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`))
    expect(await rig.spans()).toEqual([])
  },
)

test('about the asked share of new traces is sampled', async () => {
  await using rig = await startTracing({ samplingPercent: 25 })
  let sampled = 0

  for (let i = 0; i < 2000; i++) {
    const exchange = createExchange()
    rig.tracing.inbound.onRequest?.(exchange)
    if (exchange.span?.isRecording()) sampled++
    rig.tracing.inbound.onEnd?.(exchange)
  }

  expect(sampled / 2000).toBeGreaterThan(0.22)
  expect(sampled / 2000).toBeLessThan(0.28)
})

test.each([
  ['wrong length', ['traceparent', `00-${TRACE}-${PARENT}-1`]],
  ['two of them', ['traceparent', SAMPLED, 'traceparent', SAMPLED]],
  ['trace id of zeros', ['traceparent', `00-${'0'.repeat(32)}-${PARENT}-01`]],
  ['no traceparent', []],
])('a broken context is replaced by a new one and its tracestate removed: %s', async (_name, fields) => {
  await using rig = await startTracing()
  const exchange = withFields([...fields, 'tracestate', 'vendor=1'])

  runOnce(rig, 'inbound', exchange)

  const [span] = await rig.spans()
  expect(span?.parentSpanContext).toBeUndefined()
  expect(span?.spanContext().traceId).not.toBe(TRACE)
  expect(fieldValue(exchange.request, 'traceparent')).toContain(span?.spanContext().traceId)
  expect(exchange.request.filter((field) => field.toLowerCase() === 'traceparent')).toHaveLength(1)
  expect(hasField(exchange.request, 'tracestate')).toBe(false)
})

test('a caller that speaks B3 is answered in B3 and in the configured form', async () => {
  await using rig = await startTracing({ propagators: ['tracecontext'] })
  const exchange = withFields(['b3', `${TRACE}-${PARENT}-1`])

  runOnce(rig, 'inbound', exchange)

  const [span] = await rig.spans()
  const spanId = span?.spanContext().spanId
  expect(span?.parentSpanContext?.spanId).toBe(PARENT)
  expect(fieldValue(exchange.request, 'b3')).toBe(`${TRACE}-${spanId}-1`)
  expect(fieldValue(exchange.request, 'traceparent')).toBe(`00-${TRACE}-${spanId}-01`)
})

test('without an endpoint nothing is changed, and the trace that passes is known to the access log', async () => {
  await using rig = await startTracing({ endpoint: null })
  const exchange = withFields(['traceparent', SAMPLED, 'tracestate', 'vendor=1'])
  const before = [...exchange.request]

  runOnce(rig, 'inbound', exchange)

  expect(exchange.request).toEqual(before)
  expect(exchange.span?.spanContext().traceId).toBe(TRACE)
  expect(await rig.spans()).toEqual([])
})

test('tracing can be turned on, changed and off while requests are under way', async () => {
  await using rig = await startTracing({ endpoint: null })
  rig.workload.set(createWorkload({ propagators: ['b3'] }))
  await rig.tracing.settled()
  const early = createExchange()
  rig.tracing.inbound.onRequest?.(early)
  expect(fieldValue(early.request, 'b3')).toBeDefined()
  rig.workload.set(createWorkload({ endpoint: 'http://127.0.0.2:4318' }))
  await rig.tracing.settled()
  rig.tracing.inbound.onEnd?.(early)

  expect(await rig.spans()).toHaveLength(1)
  rig.workload.set(createWorkload({ endpoint: null }))
  await rig.tracing.settled()
  const late = createExchange()
  rig.tracing.inbound.onRequest?.(late)

  expect(hasField(late.request, 'traceparent')).toBe(false)
  expect(late.span).toBeNull()
  await Promise.resolve()
  expect(rig.closed()).toBe(2)
})

test('a configuration that cannot be used leaves the former one in force', async () => {
  const failing: TracingOptions['createExporter'] = async (endpoint) => {
    if (endpoint === 'nonsense') throw new TypeError('not a URL')
    return { export: (_spans, done) => done({ code: 0 }), async shutdown() {} }
  }
  await using rig = await startTracing({}, { createExporter: failing })
  rig.workload.set(createWorkload({ endpoint: 'nonsense' }))
  await rig.tracing.settled()
  const exchange = createExchange()

  rig.tracing.inbound.onRequest?.(exchange)

  expect(exchange.span?.isRecording()).toBe(true)
})
