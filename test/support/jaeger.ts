// What a real Jaeger says of a trace, asked by its query API.
import { expect } from 'vitest'
import { until } from './caller.ts'

export interface Span {
  readonly traceID: string
  readonly spanID: string
  readonly operationName: string
  readonly references: readonly { refType: string; traceID: string; spanID: string }[]
  readonly startTime: number
  readonly duration: number
  readonly tags: readonly Tag[]
  readonly warnings: readonly string[] | null
  readonly processID: string
}

interface Tag {
  readonly key: string
  readonly value: unknown
}

export interface Trace {
  readonly traceID: string
  readonly spans: readonly Span[]
  readonly processes: Readonly<Record<string, { serviceName: string; tags: readonly Tag[] }>>
  readonly warnings: readonly string[] | null
}

export interface Jaeger {
  /** From its search for a service, once it has as many spans. */
  traceOf(traceId: string, service: string, spans: number): Promise<Trace>
}

const QUERY_PORT = 16686

export const jaegerAt = (host: string): Jaeger => ({
  async traceOf(traceId, service, spans) {
    const search = `http://${host}:${QUERY_PORT}/api/traces?service=${service}&limit=100&lookback=1h`
    let found: Trace | undefined
    await until(`${spans} spans of trace ${traceId} in Jaeger`, async () => {
      const { data } = (await (await fetch(search)).json()) as { data: readonly Trace[] }
      found = data.find(({ traceID }) => traceID === traceId)
      return (found?.spans.length ?? 0) >= spans
    })
    if (found === undefined) throw new Error('no trace')
    return found
  },
})

export const tagOf = (span: Span | undefined, name: string): unknown =>
  span?.tags.find(({ key }) => key === name)?.value
export const tagsOf = (span: Span | undefined): Record<string, unknown> =>
  Object.fromEntries((span?.tags ?? []).map(({ key, value }) => [key, value]))
export const parentOf = (span: Span | undefined): string | undefined =>
  span?.references.find(({ refType }) => refType === 'CHILD_OF')?.spanID

/** In the order of their begin. */
export function spansOf(trace: Trace, service: string, kind: 'client' | 'server'): readonly Span[] {
  return trace.spans
    .filter((span) => trace.processes[span.processID]?.serviceName === service && tagOf(span, 'span.kind') === kind)
    .sort((one, other) => one.startTime - other.startTime)
}

/** Each span but the one whose parent is the test's own has its parent in the trace, and does not begin before it. */
export function expectWhole(trace: Trace, origin: string): void {
  const byId = new Map(trace.spans.map((span) => [span.spanID, span]))
  expect(byId.size).toBe(trace.spans.length)
  const roots = trace.spans.filter((span) => !byId.has(parentOf(span) ?? ''))
  expect(roots.map(parentOf)).toEqual([origin])
  // What Jaeger found wrong. It misses the test's own span; and on a machine that is busy a server may rest between its last
  // byte and the end of its span, which Jaeger takes for clocks that differ: so clocks are compared by the begin of spans.
  const warnings = [...(trace.warnings ?? []), ...trace.spans.flatMap((span) => span.warnings ?? [])]
  const isExpected = /^(invalid parent span IDs=|clock skew adjustment disabled)/
  expect(warnings.filter((warning) => !isExpected.test(warning))).toEqual([])
  for (const span of trace.spans) {
    const parent = byId.get(parentOf(span) ?? '')
    if (parent !== undefined) expect(span.startTime).toBeGreaterThanOrEqual(parent.startTime - 1000)
  }
}
