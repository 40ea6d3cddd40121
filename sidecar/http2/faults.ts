// How a peer breaks the rules of HTTP/2, and what it is told. Details are our own texts, never the peer's bytes.
import type { FaultCode } from '#flow/error.ts'
import { COMPRESSION_ERROR, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, PROTOCOL_ERROR } from './protocol.ts'

/** The end of the connection: GOAWAY with this number (RFC 9113 section 7). */
export class ConnectionFault extends Error {
  override readonly name = 'ConnectionFault'
  readonly error: number
  readonly code: FaultCode
  constructor(error: number, detail: string, code: FaultCode = 'BAD_REQUEST', options?: ErrorOptions) {
    super(detail, options)
    this.error = error
    this.code = code
  }
}

export function protocolError(detail: string): ConnectionFault {
  return new ConnectionFault(PROTOCOL_ERROR, detail)
}

export function flowError(detail: string): ConnectionFault {
  return new ConnectionFault(FLOW_CONTROL_ERROR, detail)
}

export function flood(detail: string): ConnectionFault {
  return new ConnectionFault(ENHANCE_YOUR_CALM, detail, 'HTTP2_FLOOD')
}

export function compressionError(cause: Error): ConnectionFault {
  return new ConnectionFault(COMPRESSION_ERROR, `HPACK: ${cause.message}`, 'BAD_REQUEST', { cause })
}
