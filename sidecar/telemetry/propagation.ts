// Trace context in field arrays: W3C Trace Context (https://www.w3.org/TR/trace-context/) and B3
// (https://github.com/openzipkin/b3-propagation), both forms. Straight on the flat array: no carrier object, no copies.
// tracestate and baggage ride along untouched, since a sidecar has nothing to say in them.
import { type SpanContext, TraceFlags, type TraceState } from '@opentelemetry/api'
import { removeField, setField } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'

export type Propagator = 'tracecontext' | 'baggage' | 'b3' | 'b3multi'

/** What a request said of its trace. */
export interface Extracted {
  /** null: it named no trace. `isRemote` is true. */
  readonly parent: SpanContext | null
  /** What it said of sampling; null: nothing. A B3 request can say this without naming a trace. */
  readonly isSampled: boolean | null
  /** B3 debug: sampled whatever the ratio says, and told on. */
  readonly isDebug: boolean
  /** The forms that it came with: they are written again, or a forwarded old one would contradict the new one. */
  readonly forms: ReadonlySet<Propagator>
  /** It carries a traceparent or tracestate that must not go on: unreadable, doubled, or one without the other. */
  readonly isBroken: boolean
}

const NO_FORMS: ReadonlySet<Propagator> = new Set()
const W3C_ONLY: ReadonlySet<Propagator> = new Set(['tracecontext'])
const NOTHING: Extracted = { parent: null, isSampled: null, isDebug: false, forms: NO_FORMS, isBroken: false }

interface Raw {
  traceparents: number
  traceparent: string
  tracestate: string
  b3: string | null
  traceId: string
  spanId: string
  sampled: string
  flags: string
}

/** Reads the first form that names a valid trace: W3C, then B3 single, then B3 multi. Changes nothing. */
export function extract(fields: Fields): Extracted {
  const raw = gather(fields)
  if (raw === null) return NOTHING
  const w3c = raw.traceparents === 1 ? parseTraceparent(raw.traceparent, raw.tracestate) : null
  const isBroken = w3c === null && (raw.traceparents > 0 || raw.tracestate !== '')
  const hasMulti = raw.traceId !== '' || raw.sampled !== '' || raw.flags !== ''
  if (raw.b3 === null && !hasMulti) {
    const forms = raw.traceparents > 0 ? W3C_ONLY : NO_FORMS
    return { parent: w3c, isSampled: w3c && isSampled(w3c), isDebug: false, forms, isBroken }
  }
  const forms = new Set<Propagator>()
  if (raw.traceparents > 0) forms.add('tracecontext')
  if (raw.b3 !== null) forms.add('b3')
  if (hasMulti) forms.add('b3multi')
  const b3 = chooseB3(raw)
  if (w3c !== null)
    return { parent: w3c, isSampled: isSampled(w3c), isDebug: b3.isDebug && isSampled(w3c), forms, isBroken }
  return { parent: b3.parent, isSampled: b3.isSampled, isDebug: b3.isDebug, forms, isBroken }
}

/** Removes a traceparent that cannot be read, with the tracestate that belongs to it (W3C, section 4.3). */
export function removeBroken(fields: Fields, extracted: Extracted): void {
  if (!extracted.isBroken) return
  removeField(fields, 'traceparent')
  removeField(fields, 'tracestate')
}

/** Writes the context in the configured forms and in those that the request came with. */
export function inject(
  fields: Fields,
  context: SpanContext,
  configured: readonly Propagator[],
  extracted: Extracted,
): void {
  const sampled = isSampled(context)
  const has = (form: Propagator) => configured.includes(form) || extracted.forms.has(form)
  if (has('tracecontext')) {
    // The random flag (level 2, section 3.2.2.5.2) tells of the trace id, which is the parent's.
    const flags = (context.traceFlags & TraceFlags.SAMPLED) | ((extracted.parent?.traceFlags ?? 0) & 0x02)
    setField(fields, 'traceparent', `00-${context.traceId}-${context.spanId}-0${flags}`)
  }
  if (has('b3')) {
    setField(fields, 'b3', `${context.traceId}-${context.spanId}-${extracted.isDebug ? 'd' : sampled ? '1' : '0'}`)
  }
  if (!has('b3multi')) return
  setField(fields, 'X-B3-TraceId', context.traceId)
  setField(fields, 'X-B3-SpanId', context.spanId)
  // The parent of what we send is no longer the one that came.
  removeField(fields, 'x-b3-parentspanid')
  if (extracted.isDebug) setField(fields, 'X-B3-Flags', '1')
  else setField(fields, 'X-B3-Sampled', sampled ? '1' : '0')
}

export function isSampled(context: SpanContext): boolean {
  return (context.traceFlags & TraceFlags.SAMPLED) !== 0
}

const NO_TRACE_ID = '0'.repeat(32)
const NO_SPAN_ID = '0'.repeat(16)
// Lower case only (section 3.2.2.3); a later version may go on after the flags, version 00 may not, ff is no version.
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/

/** null where the W3C says that a traceparent is invalid. */
export function parseTraceparent(traceparent: string, tracestate: string): SpanContext | null {
  const match = TRACEPARENT.exec(traceparent)
  if (match === null) return null
  const [, version, traceId = '', spanId = '', flags = '', rest] = match
  if (version === '00' && rest !== undefined) return null
  if (traceId === NO_TRACE_ID || spanId === NO_SPAN_ID) return null
  const context: SpanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16) & 0x03, isRemote: true }
  return tracestate === '' ? context : { ...context, traceState: carriedState(tracestate) }
}

// Exported with the span as it came; nobody here reads or changes a member of it.
function carriedState(text: string): TraceState {
  const state: TraceState = {
    get: () => undefined,
    set: () => state,
    unset: () => state,
    serialize: () => text,
  }
  return state
}

interface B3 {
  readonly parent: SpanContext | null
  readonly isSampled: boolean | null
  readonly isDebug: boolean
}

function chooseB3(raw: Raw): B3 {
  const multi = readB3Multi(raw)
  if (raw.b3 === null) return multi
  const single = readB3(raw.b3)
  return single.parent !== null || multi.parent === null ? single : multi
}

const B3_SINGLE = /^([0-9a-f]{32}|[0-9a-f]{16})-([0-9a-f]{16})(?:-([01d])(?:-[0-9a-f]{16})?)?$/i

function readB3(text: string): B3 {
  if (text.length === 1) return b3Of('', '', text)
  const match = B3_SINGLE.exec(text)
  return b3Of(match?.[1] ?? '', match?.[2] ?? '', match?.[3] ?? '')
}

function readB3Multi(raw: Raw): B3 {
  const isHex = /^(?:[0-9a-f]{32}|[0-9a-f]{16})$/i.test(raw.traceId) && /^[0-9a-f]{16}$/i.test(raw.spanId)
  // "true" and "false" are what old Zipkin libraries sent.
  const said = raw.sampled === 'true' ? '1' : raw.sampled === 'false' ? '0' : raw.sampled
  return b3Of(isHex ? raw.traceId : '', isHex ? raw.spanId : '', raw.flags === '1' ? 'd' : said)
}

function b3Of(traceIdText: string, spanIdText: string, said: string): B3 {
  const isDebug = said === 'd'
  const sampled = isDebug || said === '1' ? true : said === '0' ? false : null
  const traceId = traceIdText.toLowerCase().padStart(32, '0')
  const spanId = spanIdText.toLowerCase()
  if (traceId === NO_TRACE_ID || spanId === '' || spanId === NO_SPAN_ID)
    return { parent: null, isSampled: sampled, isDebug }
  const traceFlags = sampled === true ? TraceFlags.SAMPLED : TraceFlags.NONE
  return { parent: { traceId, spanId, traceFlags, isRemote: true }, isSampled: sampled, isDebug }
}

/** null when there is no field of a trace at all, which is the usual case at the edge. */
function gather(fields: Fields): Raw | null {
  let raw: Raw | null = null
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    // By length first: most fields of a request are told apart so, without lower-casing.
    const key = LENGTHS.has(name.length) ? KEYS.get(name.toLowerCase()) : undefined
    if (key === undefined) continue
    raw ??= {
      traceparents: 0,
      traceparent: '',
      tracestate: '',
      b3: null,
      traceId: '',
      spanId: '',
      sampled: '',
      flags: '',
    }
    const value = (fields[i + 1] as string).trim()
    if (key === 'traceparent') raw.traceparents++
    if (key === 'tracestate' && raw.tracestate !== '') raw.tracestate += `,${value}`
    else raw[key] = value
  }
  return raw
}

const KEYS = new Map<string, 'traceparent' | 'tracestate' | 'b3' | 'traceId' | 'spanId' | 'sampled' | 'flags'>([
  ['traceparent', 'traceparent'],
  ['tracestate', 'tracestate'],
  ['b3', 'b3'],
  ['x-b3-traceid', 'traceId'],
  ['x-b3-spanid', 'spanId'],
  ['x-b3-sampled', 'sampled'],
  ['x-b3-flags', 'flags'],
])
const LENGTHS = new Set([...KEYS.keys()].map((name) => name.length))
