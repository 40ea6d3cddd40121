// Calls of gRPC in the words of OpenTelemetry's conventions for RPC.
import type { Direction } from '#flow/connection.ts'
import { grpcStatusName, isGrpcServerError } from '#shared/grpc-status.ts'

/** The name, such as UNAVAILABLE; what a peer made up is _OTHER; null where it is no call. */
export function rpcStatus(grpcStatus: number | null): string | null {
  return grpcStatus === null ? null : (grpcStatusName(grpcStatus) ?? '_OTHER')
}

/** Whoever called sees an error in all but OK, the server only in what is its own failure. */
export function isRpcError(grpcStatus: number | null, direction: Direction): boolean {
  if (grpcStatus === null || grpcStatus === 0) return false
  return direction === 'outbound' || isGrpcServerError(grpcStatus)
}
