// What both receivers do with a request: into the ring, and what OTLP wants to hear of spans that were not taken.
import type { ExportTraceServiceRequest, ExportTraceServiceResponse } from '#shared/contract/otlp-trace.ts'
import { readSpans } from './read-spans.ts'
import type { TraceRing } from './ring.ts'

/** Larger requests are refused; the exporters send 512 spans at a time, some 300 KB. */
export const MAX_REQUEST_BYTES = 4 * 1024 * 1024

/** Throws a TypeError when the request has not the shape of OTLP. */
export function receiveSpans(ring: TraceRing, request: ExportTraceServiceRequest): ExportTraceServiceResponse {
  const { spans, rejected } = readSpans(request)
  const dropped = ring.add(spans)
  if (rejected + dropped === 0) return {}
  const errorMessage = rejected > 0 ? 'spans without ids or times' : 'the trace has too many spans'
  return { partialSuccess: { rejectedSpans: rejected + dropped, errorMessage } }
}
