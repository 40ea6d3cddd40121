// From OTLP messages, protobuf or JSON, to the spans that are kept: cut to size, since whoever reaches the port can send.
import type { ExportTraceServiceRequest, OtlpKeyValue, OtlpSpan, OtlpValue } from '#shared/contract/otlp-trace.ts'
import type { SpanKind, SpanStatus, TraceSpan } from '#shared/trace-tree.ts'

export interface ReceivedSpan {
  readonly traceId: string
  readonly span: TraceSpan
}

export interface ReadResult {
  readonly spans: readonly ReceivedSpan[]
  /** Spans without a trace id, a span id or times. */
  readonly rejected: number
}

const KINDS: readonly SpanKind[] = ['internal', 'internal', 'server', 'client', 'producer', 'consumer']
const STATUSES: readonly SpanStatus[] = ['unset', 'ok', 'error']
const MAX_ATTRIBUTES = 64
const MAX_TEXT = 256

/** Throws a TypeError when the message has not the shape of OTLP at all. */
export function readSpans(request: ExportTraceServiceRequest): ReadResult {
  const spans: ReceivedSpan[] = []
  let rejected = 0
  for (const { resource, scopeSpans } of listOf(request.resourceSpans)) {
    const service = readAttributes(resource?.attributes)['service.name'] ?? 'unknown_service'
    for (const scope of listOf(scopeSpans)) {
      for (const span of listOf(scope.spans)) {
        const received = readSpan(span, String(service))
        if (received === null) rejected++
        else spans.push(received)
      }
    }
  }
  return { spans, rejected }
}

function listOf<T>(value: readonly T[] | undefined | null): readonly T[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) throw new TypeError('a list is no list')
  return value
}

function readSpan(span: OtlpSpan, service: string): ReceivedSpan | null {
  const traceId = readId(span.traceId, 16)
  const spanId = readId(span.spanId, 8)
  const startUs = readMicroseconds(span.startTimeUnixNano)
  const endUs = readMicroseconds(span.endTimeUnixNano)
  if (traceId === null || spanId === null || startUs === null || endUs === null) return null
  return {
    traceId,
    span: {
      spanId,
      parentSpanId: readId(span.parentSpanId, 8),
      service,
      name: cut(span.name ?? ''),
      kind: KINDS[readEnum(span.kind, 'SPAN_KIND_', ['UNSPECIFIED', ...KINDS.slice(1)])] ?? 'internal',
      startUs,
      durationUs: Math.max(0, endUs - startUs),
      status: STATUSES[readEnum(span.status?.code, 'STATUS_CODE_', STATUSES)] ?? 'unset',
      statusMessage: cut(span.status?.message ?? ''),
      attributes: readAttributes(span.attributes),
    },
  }
}

/** Bytes from protobuf, hexadecimal text from JSON; null when it is absent, of another length or all zeros (which mean none). */
function readId(id: Uint8Array | string | undefined, bytes: number): string | null {
  const text = typeof id === 'string' ? id.toLowerCase() : Buffer.from(id ?? []).toString('hex')
  return text.length === bytes * 2 && /^[0-9a-f]+$/.test(text) && !/^0+$/.test(text) ? text : null
}

/** Nanoseconds pass 2^53, so the last three digits go before it becomes a number. */
function readMicroseconds(nanoseconds: string | number | undefined): number | null {
  const text = typeof nanoseconds === 'number' ? nanoseconds.toFixed(0) : (nanoseconds ?? '')
  return /^\d{4,20}$/.test(text) ? Number(text.slice(0, -3)) : null
}

function readEnum(value: number | string | undefined, prefix: string, names: readonly string[]): number {
  if (typeof value === 'number') return value
  return Math.max(
    0,
    names.findIndex((name) => `${prefix}${name.toUpperCase()}` === value),
  )
}

function readAttributes(attributes: readonly OtlpKeyValue[] | undefined | null): TraceSpan['attributes'] {
  const found: Record<string, string | number | boolean> = Object.create(null)
  for (const { key, value } of listOf(attributes).slice(0, MAX_ATTRIBUTES)) {
    const read = value == null ? null : readValue(value)
    if (typeof key === 'string' && read !== null) found[cut(key)] = read
  }
  return found
}

/** Scalars, and lists of them as text; deeper values are left out. */
function readValue(value: OtlpValue): string | number | boolean | null {
  if (value.stringValue !== undefined) return cut(value.stringValue)
  if (value.boolValue !== undefined) return value.boolValue
  if (value.intValue !== undefined) return Number(value.intValue)
  if (value.doubleValue !== undefined) return value.doubleValue
  const items = value.arrayValue?.values
  if (!Array.isArray(items)) return null
  return cut(
    items
      .slice(0, MAX_ATTRIBUTES)
      .map((item: OtlpValue) => item.stringValue ?? item.intValue ?? '')
      .join(','),
  )
}

const cut = (text: unknown): string => (typeof text === 'string' ? text.slice(0, MAX_TEXT) : '')
