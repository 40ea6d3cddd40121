import { describe, expect, test } from 'vitest'
import type { TraceSpan } from '#shared/trace-tree.ts'
import { TraceRing } from './ring.ts'

const span = (spanId: string, change: Partial<TraceSpan> = {}): TraceSpan => ({
  spanId,
  parentSpanId: null,
  service: 'web',
  name: 'GET /',
  kind: 'server',
  startUs: 1,
  durationUs: 1,
  status: 'unset',
  statusMessage: '',
  attributes: {},
  ...change,
})

describe('the ring of traces', () => {
  test('gives the newest traces first and finds one by its id', () => {
    const ring = new TraceRing()
    for (const traceId of ['a', 'b', 'c']) ring.add([{ traceId, span: span('1') }])
    ring.add([{ traceId: 'a', span: span('2') }])
    expect(ring.latest(2).map(({ traceId }) => traceId)).toEqual(['c', 'b'])
    expect(ring.latest(0)).toEqual([])
    expect(ring.find('a')?.spans.map(({ spanId }) => spanId)).toEqual(['1', '2'])
    expect(ring.find('d')).toBeUndefined()
  })

  test('never holds more spans than it may, and drops the oldest trace first', () => {
    const ring = new TraceRing({ maxSpans: 100 })
    for (let at = 0; at < 1_000; at++) {
      ring.add([
        { traceId: String(at), span: span('1') },
        { traceId: String(at), span: span('2') },
      ])
      expect(ring.spanCount).toBeLessThanOrEqual(100)
    }
    expect(ring.latest(1_000)).toHaveLength(50)
    expect(ring.find('949')).toBeUndefined()
    expect(ring.find('950')?.spans).toHaveLength(2)
  })

  test('never holds more bytes than it may', () => {
    const ring = new TraceRing({ maxBytes: 100_000 })
    for (let at = 0; at < 1_000; at++) {
      ring.add([{ traceId: String(at), span: span('1', { attributes: { note: 'x'.repeat(200) } }) }])
      expect(ring.sizeBytes).toBeLessThanOrEqual(100_000)
    }
    expect(ring.latest(1_000).length).toBeGreaterThan(50)
  })

  test('counts to nothing again when all it held is pushed out', () => {
    const ring = new TraceRing({ maxSpans: 1 })
    ring.add([{ traceId: 'a', span: span('1', { attributes: { note: 'x'.repeat(100) } }) }])
    ring.add([{ traceId: 'b', span: span('1') }])
    const alone = new TraceRing()
    alone.add([{ traceId: 'b', span: span('1') }])
    expect(ring.sizeBytes).toBe(alone.sizeBytes)
    expect(ring.spanCount).toBe(1)
  })

  test('one trace cannot take the whole ring', () => {
    const ring = new TraceRing({ maxSpansPerTrace: 10 })
    const spans = Array.from({ length: 25 }, (_, at) => ({ traceId: 'a', span: span(String(at)) }))
    expect(ring.add(spans)).toBe(15)
    expect(ring.spanCount).toBe(10)
  })

  test('a span that is sent twice is there once, as it was sent last', () => {
    const ring = new TraceRing()
    ring.add([{ traceId: 'a', span: span('1', { name: 'first' }) }])
    ring.add([{ traceId: 'a', span: span('1', { name: 'second' }) }])
    expect(ring.spanCount).toBe(1)
    expect(ring.find('a')?.spans.map(({ name }) => name)).toEqual(['second'])
  })
})
