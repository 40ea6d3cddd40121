// What steps emit when something ends; a metric, a log line and a span are sinks.
import type { Address } from '#shared/address.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Direction, Protocol } from './connection.ts'
import type { FaultCode } from './error.ts'

export interface ConnectionEnded {
  readonly kind: 'connection'
  readonly direction: Direction
  readonly protocol: Protocol | null
  readonly destination: Address | null
  /** The service addressed, "namespace/name", or null. */
  readonly service: string | null
  readonly source: Address | null
  readonly endpoint: Address | null
  /** Inbound: the caller. Outbound: the endpoint's identity. Null in clear. */
  readonly peer: SpiffeId | null
  readonly startedAt: number
  readonly durationMs: number
  /** Bytes of the application: from the opener to the server, and back. */
  readonly bytesSent: number
  readonly bytesReceived: number
  readonly reason: FaultCode | null
}

export interface RequestEnded {
  readonly kind: 'request'
  readonly direction: Direction
  readonly method: string
  readonly authority: string
  /** Without the query. */
  readonly path: string
  /** "namespace/name" of the HTTPRoute that decided, or null. */
  readonly route: string | null
  readonly service: string | null
  readonly destination: Address
  readonly source: Address | null
  readonly endpoint: Address | null
  readonly peer: SpiffeId | null
  /** Wall clock at the first byte of the head, milliseconds since 1970. */
  readonly startedAt: number
  readonly durationMs: number
  /** What the client saw; 0 when it saw no answer. */
  readonly status: number
  /** How a call of gRPC ended; null where it is none, or nobody said. */
  readonly grpcStatus: number | null
  readonly requestBytes: number
  readonly responseBytes: number
  /** Tries, 1 without a retry; 0 when none was made. */
  readonly attempts: number
  readonly reason: FaultCode | null
  readonly detail: string | null
  readonly version: '1.0' | '1.1' | '2'
  readonly userAgent: string | null
  readonly traceId: string | null
}

export type Sink = (event: ConnectionEnded | RequestEnded) => void
