// What `weft traces ID -o json` gives, as far as the demo looks at it.

export interface Span {
  readonly spanId: string
  readonly parentSpanId: string | null
  readonly service: string
}

export interface Trace {
  readonly spans: readonly Span[]
  /** As `weft traces ID` draws it. */
  readonly drawing: readonly string[]
}

export function servicesOf({ spans }: Trace): readonly string[] {
  return [...new Set(spans.map(({ service }) => service))].sort()
}

/** Spans whose parent is not in the trace. */
export function rootsOf({ spans }: Trace): number {
  const ids = new Set(spans.map(({ spanId }) => spanId))
  return spans.filter(({ parentSpanId }) => parentSpanId === null || !ids.has(parentSpanId)).length
}
