// What a request was resolved to: made when configuration arrives, shared by all requests that match.
import type { Decision, RequestFacts, RequestPolicy } from '#shared/decide/config.ts'
import type { FaultCode, FlowError } from './error.ts'
import type { Step } from './exchange.ts'
import type { HttpClientConnection } from './stream.ts'
import type { Endpoint, Lease } from './upstream.ts'

/** The endpoints of one backend with their connections. */
export interface UpstreamGroup {
  lease(hash: number, tried: readonly Endpoint[]): Lease | undefined
  /** Why there is none to lease; absent: NO_ENDPOINT. */
  readonly emptyFault?: FaultCode
  /** Calls done at once when a connection is there to be used. Returns the way to cancel. */
  acquire(endpoint: Endpoint, wanted: Wanted, done: AcquireDone): () => void
}

/** What the request is: of HTTP/1.x, of HTTP/2, or one that wants a connection of its own, as it may become a tunnel. */
export type Wanted = 'http1' | 'http2' | 'upgrade'

export type AcquireDone = (error: FlowError | null, connection: HttpClientConnection | null, isReused: boolean) => void

export interface Route {
  readonly decision: Decision
  readonly policy: RequestPolicy
  readonly steps: readonly Step[]
  /** null exactly when the decision is to refuse. */
  readonly upstream: UpstreamGroup | null
}

export type Resolve = (facts: RequestFacts) => Route
