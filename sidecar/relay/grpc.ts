// What the engine must know of gRPC: which requests are calls of it, and how an answer says how they ended.
import type { Attempt } from '#flow/exchange.ts'
import { fieldValue } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'
import { isGrpcFailure } from '#shared/grpc-status.ts'

const TYPE = 'application/grpc'

/** application/grpc and its kinds such as application/grpc+proto; grpc-web is another protocol. */
export function isGrpcCall(fields: Fields): boolean {
  const type = fieldValue(fields, 'content-type')
  if (type === undefined || !type.startsWith(TYPE)) return false
  return type.length === TYPE.length || '+;'.includes(type[TYPE.length] as string)
}

/** From trailers, or from a head that is all there is; null where none is told. */
export function grpcStatusOf(fields: Fields): number | null {
  const text = fieldValue(fields, 'grpc-status')
  return text !== undefined && /^\d{1,3}$/.test(text) ? Number(text) : null
}

/** As HTTP would have put it: what gRPC calls a failure of the server is one to health, whatever the head said. */
export function outcomeStatus({ status, grpcStatus }: Pick<Attempt, 'status' | 'grpcStatus'>): number {
  return grpcStatus !== null && isGrpcFailure(grpcStatus) ? 503 : status
}
