// A sidecar broke the contract or asked for what it may not have: ends its stream with this gRPC status.
import type { status } from '@grpc/grpc-js'

export class ProtocolError extends Error {
  override readonly name = 'ProtocolError'
  readonly code: status

  constructor(code: status, text: string, options?: ErrorOptions) {
    super(text, options)
    this.code = code
  }
}
