// The statuses of gRPC: the number on the wire is the place in the list.
export const GRPC_STATUSES = [
  'OK',
  'CANCELLED',
  'UNKNOWN',
  'INVALID_ARGUMENT',
  'DEADLINE_EXCEEDED',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION',
  'ABORTED',
  'OUT_OF_RANGE',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
  'UNAUTHENTICATED',
] as const

/** By the semantic conventions of OpenTelemetry: errors of the server; others are the caller's. */
const OF_SERVER: ReadonlySet<number> = new Set([2, 4, 12, 13, 14, 15])

export const isGrpcServerError = (status: number): boolean => OF_SERVER.has(status)

/** What health and breaker take for a failure of the endpoint: the above, but for a method that it does not have. */
export const isGrpcFailure = (status: number): boolean => status !== 12 && OF_SERVER.has(status)

/** Undefined for numbers that gRPC does not know. */
export const grpcStatusName = (status: number): string | undefined => GRPC_STATUSES[status]
