// A trace as people read it in a terminal: one line a span, children under their parent in the order of time. Control keeps the
// traces, `weft traces` shows them; the shape between them is here.

export type SpanKind = 'internal' | 'server' | 'client' | 'producer' | 'consumer'
export type SpanStatus = 'unset' | 'ok' | 'error'

export interface TraceSpan {
  /** Hexadecimal. */
  readonly spanId: string
  /** null: a root. */
  readonly parentSpanId: string | null
  /** service.name of the resource. */
  readonly service: string
  readonly name: string
  readonly kind: SpanKind
  /** Microseconds since 1970. */
  readonly startUs: number
  readonly durationUs: number
  readonly status: SpanStatus
  readonly statusMessage: string
  readonly attributes: Readonly<Record<string, string | number | boolean>>
}

export interface Trace {
  /** Hexadecimal. */
  readonly traceId: string
  readonly spans: readonly TraceSpan[]
}

/** Attributes that tell who spoke with whom and what came of it, with the word that stands before each. */
const SHOWN: readonly (readonly [attribute: string, word: string])[] = [
  ['http.response.status_code', ''],
  ['weft.reason', 'reason '],
  ['http.request.resend_count', 'retry '],
  ['weft.endpoint', 'endpoint '],
  ['network.peer.address', 'peer '],
  ['weft.source.identity', 'from '],
  ['weft.destination.identity', 'to '],
]

/** The first line names the trace, then comes a line for each span; nothing else in it depends on the terminal. */
export function renderTree(trace: Trace): string[] {
  const ids = new Set(trace.spans.map(({ spanId }) => spanId))
  const children = new Map<string | null, TraceSpan[]>()
  for (const span of [...trace.spans].sort(byTime)) {
    // A parent that is not here (not sent yet, or of a program outside) makes its child a root.
    const parent = span.parentSpanId !== null && ids.has(span.parentSpanId) ? span.parentSpanId : null
    children.set(parent, [...(children.get(parent) ?? []), span])
  }
  const lines = [summary(trace)]
  const shown = new Set<string>()
  const show = (span: TraceSpan, lead: string, isLast: boolean) => {
    if (shown.has(span.spanId)) return
    shown.add(span.spanId)
    lines.push(`${lead}${isLast ? '└─ ' : '├─ '}${describe(span)}`)
    const below = children.get(span.spanId) ?? []
    for (const [at, child] of below.entries()) show(child, `${lead}${isLast ? '   ' : '│  '}`, at === below.length - 1)
  }
  const roots = children.get(null) ?? []
  for (const [at, root] of roots.entries()) show(root, '', at === roots.length - 1)
  // Spans that are each other's parents hang on no root; they are shown all the same.
  for (const span of trace.spans) show(span, '', true)
  return lines
}

const byTime = (one: TraceSpan, other: TraceSpan): number =>
  one.startUs - other.startUs || (one.spanId < other.spanId ? -1 : 1)

function summary({ traceId, spans }: Trace): string {
  const first = Math.min(...spans.map(({ startUs }) => startUs))
  const last = Math.max(...spans.map(({ startUs, durationUs }) => startUs + durationUs))
  const services = new Set(spans.map(({ service }) => service)).size
  const count = (amount: number, word: string) => `${amount} ${word}${amount === 1 ? '' : 's'}`
  const duration = spans.length === 0 ? '' : `, ${formatDuration(last - first)}`
  return `trace ${traceId}: ${count(spans.length, 'span')} of ${count(services, 'service')}${duration}`
}

function describe(span: TraceSpan): string {
  const facts = SHOWN.flatMap(([attribute, word]) => {
    const value = span.attributes[attribute]
    return value === undefined ? [] : [`${word}${printable(String(withPort(span, attribute, value)))}`]
  })
  const failure =
    span.status === 'error' ? ` ERROR${span.statusMessage === '' ? '' : ` ${printable(span.statusMessage)}`}` : ''
  const brackets = facts.length === 0 ? '' : ` [${facts.join(', ')}]`
  return `${printable(span.service)}: ${printable(span.name)} (${span.kind}) ${formatDuration(span.durationUs)}${failure}${brackets}`
}

function withPort(span: TraceSpan, attribute: string, value: string | number | boolean) {
  const port = span.attributes['network.peer.port']
  if (attribute !== 'network.peer.address' || port === undefined) return value
  return String(value).includes(':') ? `[${value}]:${port}` : `${value}:${port}`
}

/** "850 us", "12.3 ms", "1.20 s" */
export function formatDuration(microseconds: number): string {
  if (microseconds < 1_000) return `${Math.round(microseconds)} us`
  if (microseconds < 1_000_000) return `${(microseconds / 1_000).toFixed(1)} ms`
  return `${(microseconds / 1_000_000).toFixed(2)} s`
}

/** What applications put into spans must not move a terminal's cursor. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '?')
}
