// The last traces of the mesh, in memory: bounded by spans and by bytes, oldest trace out first.
import type { Trace, TraceSpan } from '#shared/trace-tree.ts'
import type { ReceivedSpan } from './read-spans.ts'

export interface RingLimits {
  readonly maxSpans: number
  readonly maxBytes: number
  readonly maxSpansPerTrace: number
}

interface Kept {
  readonly spans: Map<string, TraceSpan>
  bytes: number
}

const LIMITS: RingLimits = { maxSpans: 20_000, maxBytes: 32 * 1024 * 1024, maxSpansPerTrace: 2_000 }
/** A span's own object, its maps and keys: near what a heap snapshot shows. */
const SPAN_BYTES = 600

export class TraceRing {
  readonly #limits: RingLimits
  /** In the order of their first span. */
  readonly #traces = new Map<string, Kept>()
  #spanCount = 0
  #sizeBytes = 0

  constructor(limits: Partial<RingLimits> = {}) {
    this.#limits = { ...LIMITS, ...limits }
  }

  get spanCount(): number {
    return this.#spanCount
  }

  get sizeBytes(): number {
    return this.#sizeBytes
  }

  /** Returns how many spans found no room: those of a trace that has too many already. */
  add(spans: readonly ReceivedSpan[]): number {
    let dropped = 0
    for (const span of spans) if (!this.#keep(span)) dropped++
    this.#evict()
    return dropped
  }

  /** The newest `limit` traces, newest first. */
  latest(limit: number): readonly Trace[] {
    const newest = limit > 0 ? [...this.#traces].slice(-limit).reverse() : []
    return newest.map(([traceId, { spans }]) => ({ traceId, spans: [...spans.values()] }))
  }

  find(traceId: string): Trace | undefined {
    const kept = this.#traces.get(traceId)
    return kept && { traceId, spans: [...kept.spans.values()] }
  }

  #keep({ traceId, span }: ReceivedSpan): boolean {
    const kept = this.#traces.get(traceId) ?? { spans: new Map(), bytes: 0 }
    const before = kept.spans.get(span.spanId)
    if (before === undefined && kept.spans.size >= this.#limits.maxSpansPerTrace) return false
    this.#traces.set(traceId, kept)
    // An exporter that tries again sends a span twice.
    const growth = sizeOf(span) - (before === undefined ? 0 : sizeOf(before))
    kept.spans.set(span.spanId, span)
    kept.bytes += growth
    this.#sizeBytes += growth
    if (before === undefined) this.#spanCount++
    return true
  }

  #evict(): void {
    const { maxSpans, maxBytes } = this.#limits
    for (const [traceId, kept] of this.#traces) {
      if (this.#spanCount <= maxSpans && this.#sizeBytes <= maxBytes) return
      this.#traces.delete(traceId)
      this.#spanCount -= kept.spans.size
      this.#sizeBytes -= kept.bytes
    }
  }
}

function sizeOf(span: TraceSpan): number {
  let characters = span.name.length + span.service.length + span.statusMessage.length
  for (const [name, value] of Object.entries(span.attributes)) {
    characters += name.length + 16 + (typeof value === 'string' ? value.length : 0)
  }
  return SPAN_BYTES + 2 * characters
}
