import { expect, test } from 'vitest'
import { extract, inject, type Propagator, parseTraceparent, removeBroken } from './propagation.ts'

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736'
const SHORT = 'a3ce929d0e0e4736'
const SPAN = '00f067aa0ba902b7'
const NEXT = { traceId: TRACE, spanId: '1111111111111111', traceFlags: 1 }

test.each([
  ['a sampled one', `00-${TRACE}-${SPAN}-01`, 1],
  ['one that is not sampled', `00-${TRACE}-${SPAN}-00`, 0],
  ['unknown flags', `00-${TRACE}-${SPAN}-f9`, 1],
  ['the random flag of level 2', `00-${TRACE}-${SPAN}-03`, 3],
  ['a later version', `cc-${TRACE}-${SPAN}-01`, 1],
  ['a later version with more', `cc-${TRACE}-${SPAN}-01-what-the-future-brings`, 1],
])('a traceparent is read: %s', (_name, text, traceFlags) => {
  expect(parseTraceparent(text, '')).toEqual({ traceId: TRACE, spanId: SPAN, traceFlags, isRemote: true })
})

test.each([
  ['empty', ''],
  ['version ff', `ff-${TRACE}-${SPAN}-01`],
  ['version 00 with more', `00-${TRACE}-${SPAN}-01-more`],
  ['a later version with more but no dash', `cc-${TRACE}-${SPAN}-01.more`],
  ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['trace id of zeros', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['span id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['short trace id', `00-${SHORT}-${SPAN}-01`],
  ['flags of one digit', `00-${TRACE}-${SPAN}-1`],
  ['not hex', `00-${TRACE.replace('4', 'g')}-${SPAN}-01`],
  ['a list', `00-${TRACE}-${SPAN}-01,00-${TRACE}-${SPAN}-01`],
  ['a line feed at the end', `00-${TRACE}-${SPAN}-01\n`],
])('a traceparent is refused: %s', (_name, text) => {
  expect(parseTraceparent(text, '')).toBeNull()
})

test.each<[string, string[], Partial<ReturnType<typeof extract>>]>([
  ['nothing', ['accept', '*/*'], { parent: null, isSampled: null }],
  ['B3 single', ['B3', `${TRACE}-${SPAN}-1`], { isSampled: true }],
  ['B3 single with a parent', ['b3', `${TRACE}-${SPAN}-0-${SPAN}`], { isSampled: false }],
  ['B3 single that leaves it open', ['b3', `${TRACE}-${SPAN}`], { isSampled: null }],
  ['B3 debug', ['b3', `${TRACE}-${SPAN}-d`], { isSampled: true, isDebug: true }],
  ['B3 deny', ['b3', '0'], { parent: null, isSampled: false }],
  ['B3 accept', ['b3', '1'], { parent: null, isSampled: true }],
  ['unreadable B3', ['b3', 'what-is-this'], { parent: null, isSampled: null }],
  ['B3 multi', ['X-B3-TraceId', TRACE, 'X-B3-SpanId', SPAN, 'X-B3-Sampled', '1'], { isSampled: true }],
  ['old B3 multi', ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-sampled', 'false'], { isSampled: false }],
  [
    'B3 multi debug',
    ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-flags', '1'],
    { isSampled: true, isDebug: true },
  ],
  ['B3 multi deny', ['x-b3-sampled', '0'], { parent: null, isSampled: false }],
  ['B3 multi without a span', ['x-b3-traceid', TRACE], { parent: null, isSampled: null }],
])('what a request says of its trace: %s', (_name, fields, expected) => {
  const extracted = extract(fields)

  expect(extracted).toMatchObject(expected)
  if (!('parent' in expected)) expect(extracted.parent).toMatchObject({ traceId: TRACE, spanId: SPAN, isRemote: true })
})

test('a trace id of 64 bits is filled up with zeros', () => {
  expect(extract(['b3', `${SHORT}-${SPAN}-1`]).parent?.traceId).toBe(`${'0'.repeat(16)}${SHORT}`)
})

test('W3C goes before B3, and B3 single before multi', () => {
  const w3c = ['traceparent', `00-${TRACE}-${SPAN}-00`]
  const single = ['b3', `${'1'.repeat(32)}-${SPAN}-1`]
  const multi = ['x-b3-traceid', '2'.repeat(32), 'x-b3-spanid', SPAN, 'x-b3-sampled', '1']

  expect(extract([...multi, ...single, ...w3c]).parent?.traceId).toBe(TRACE)
  expect(extract([...multi, ...single, ...w3c]).isSampled).toBe(false)
  expect(extract([...multi, ...single]).parent?.traceId).toBe('1'.repeat(32))
  expect(extract([...multi, 'b3', 'broken']).parent?.traceId).toBe('2'.repeat(32))
})

test('a broken traceparent beside a readable B3 makes way for it', () => {
  const fields = ['traceparent', 'broken', 'tracestate', 'a=1', 'b3', `${TRACE}-${SPAN}-1`]
  const extracted = extract(fields)
  removeBroken(fields, extracted)
  inject(fields, NEXT, [], extracted)

  expect(fields).toEqual(['b3', `${TRACE}-${NEXT.spanId}-1`, 'traceparent', `00-${TRACE}-${NEXT.spanId}-01`])
})

test('several tracestate fields are one list and stay as they are', () => {
  const fields = ['traceparent', `00-${TRACE}-${SPAN}-01`, 'tracestate', 'a=1', 'tracestate', 'b=2']
  const extracted = extract(fields)
  inject(fields, NEXT, ['tracecontext'], extracted)

  expect(extracted.parent?.traceState?.serialize()).toBe('a=1,b=2')
  expect(fields.slice(2)).toEqual(['tracestate', 'a=1', 'tracestate', 'b=2'])
})

test('what was written is what is read, in every form', () => {
  const forms: readonly Propagator[] = ['tracecontext', 'b3', 'b3multi']
  for (const form of forms) {
    for (const traceFlags of [0, 1]) {
      const fields: string[] = []
      inject(fields, { ...NEXT, traceFlags }, [form], extract([]))

      expect(extract(fields).parent).toEqual({ ...NEXT, traceFlags, isRemote: true })
      expect(extract(fields).isSampled).toBe(traceFlags === 1)
    }
  }
})

test('debug and the random flag are told on', () => {
  const debug = ['b3', `${TRACE}-${SPAN}-d`]
  inject(debug, NEXT, ['b3multi'], extract(debug))
  const random = ['traceparent', `00-${TRACE}-${SPAN}-03`]
  inject(random, NEXT, [], extract(random))

  expect(debug).toEqual([
    'b3',
    `${TRACE}-${NEXT.spanId}-d`,
    'X-B3-TraceId',
    TRACE,
    'X-B3-SpanId',
    NEXT.spanId,
    'X-B3-Flags',
    '1',
  ])
  expect(random).toEqual(['traceparent', `00-${TRACE}-${NEXT.spanId}-03`])
})

test('a B3 parent id does not go on, since the parent is another one now', () => {
  const fields = ['x-b3-traceid', TRACE, 'x-b3-spanid', SPAN, 'x-b3-parentspanid', SPAN, 'x-b3-sampled', '1']
  inject(fields, NEXT, [], extract(fields))

  expect(fields).toEqual(['x-b3-traceid', TRACE, 'x-b3-spanid', NEXT.spanId, 'x-b3-sampled', '1'])
})
