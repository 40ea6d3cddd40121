// A reset goes on to the other half with its meaning when it is the peer's own word; what we found ourselves is told in ours. And what
// it means: to a log, and to gRPC (PROTOCOL-HTTP2, "Errors").
import type { FaultCode } from '#flow/error.ts'
import type { ResetCode } from '#flow/stream.ts'

interface Meaning {
  readonly fault: FaultCode
  /** How the peer says it; null: it did not, we found that it ended. */
  readonly word: string | null
  /** What gRPC makes of the number by which the code is said. */
  readonly grpc: number
}

const CANCELLED = 1
const PERMISSION_DENIED = 7
const RESOURCE_EXHAUSTED = 8
const INTERNAL = 13
const UNAVAILABLE = 14

const MEANINGS: Readonly<Record<ResetCode, Meaning>> = {
  refused: { fault: 'CONNECT_FAILED', word: null, grpc: UNAVAILABLE },
  closed: { fault: 'UPSTREAM_CLOSED', word: null, grpc: INTERNAL },
  protocol: { fault: 'UPSTREAM_PROTOCOL', word: null, grpc: INTERNAL },
  timeout: { fault: 'REQUEST_TIMEOUT', word: null, grpc: CANCELLED },
  internal: { fault: 'INTERNAL', word: null, grpc: INTERNAL },
  cancel: { fault: 'UPSTREAM_CLOSED', word: 'CANCEL', grpc: CANCELLED },
  done: { fault: 'UPSTREAM_CLOSED', word: 'NO_ERROR', grpc: INTERNAL },
  failed: { fault: 'UPSTREAM_CLOSED', word: 'INTERNAL_ERROR', grpc: INTERNAL },
  malformed: { fault: 'UPSTREAM_CLOSED', word: 'PROTOCOL_ERROR', grpc: INTERNAL },
  calm: { fault: 'UPSTREAM_CLOSED', word: 'ENHANCE_YOUR_CALM', grpc: RESOURCE_EXHAUSTED },
  insecure: { fault: 'UPSTREAM_CLOSED', word: 'INADEQUATE_SECURITY', grpc: PERMISSION_DENIED },
  http1: { fault: 'UPSTREAM_CLOSED', word: 'HTTP_1_1_REQUIRED', grpc: INTERNAL },
}

export const faultOfReset = (code: ResetCode): FaultCode => MEANINGS[code].fault
export const grpcOfReset = (code: ResetCode): number => MEANINGS[code].grpc

/** How the endpoint ended a call by its own word; null where it said none. */
export const grpcWordOf = (code: ResetCode): number | null => (MEANINGS[code].word === null ? null : grpcOfReset(code))

export function detailOfReset(code: ResetCode): string | undefined {
  const { word } = MEANINGS[code]
  return word === null ? undefined : `the endpoint reset the stream: ${word}`
}

/** Up: whoever is gone, or broke the rules, has lost interest. NO_ERROR in place of the rest of a request must not look like its end. */
export function towardsServer(code: ResetCode): ResetCode {
  return MEANINGS[code].word === null || code === 'done' ? 'cancel' : code
}

/**
 * Down, in the middle of an answer: it is cut, and must not look whole (NO_ERROR) or as if the request had never been processed
 * (REFUSED_STREAM).
 */
export function towardsClient(code: ResetCode): ResetCode {
  return MEANINGS[code].word === null || code === 'done' ? 'closed' : code
}
