// What a request or connection can be sent to, and the words of balancing.
import type { Duplex } from 'node:stream'
import type { Address } from '#shared/address.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Watch } from '#shared/watch.ts'
import type { FaultCode } from './error.ts'

/** Interned by address, port and identity, so that standings keyed by the object survive an update. */
export interface Endpoint {
  readonly address: Address
  readonly weight: number
  /** The identity that its sidecar must prove; null: not meshed, dialled in clear. */
  readonly identity: SpiffeId | null
  /** Name of the pod, for people. */
  readonly pod: string
}

export type EndpointSet = Watch<readonly Endpoint[]>

/** Made anew when endpoints or fitness change, so that a pick filters nothing but what was tried. */
export interface Picker {
  pick(hash: number, tried: readonly Endpoint[]): Endpoint | undefined
}
export type Balancer = (fit: readonly Endpoint[]) => Picker

export interface Outcome {
  /** It served. Neither ok nor a fault nor a status: abandoned by the client before the answer, which tells nothing. */
  readonly ok: boolean
  /** Local or transport failure, or null. */
  readonly fault: FaultCode | null
  /** HTTP status of the endpoint's answer, 0 where there is none. */
  readonly status: number
  readonly durationMs: number
}

export interface OutcomeObserver {
  observe(endpoint: Endpoint, outcome: Outcome): void
}
export interface HealthTracker extends OutcomeObserver {
  isFit(endpoint: Endpoint): boolean
}

/** One use of one endpoint; done exactly once (further calls do nothing). */
export interface Lease {
  readonly endpoint: Endpoint
  done(outcome: Outcome): void
}
export interface Pool {
  /** Never one of `tried` while another is there; undefined when no endpoint exists at all. */
  lease(hash: number, tried: readonly Endpoint[]): Lease | undefined
  close(): void
}

/** Opens a byte stream to an endpoint; rejects with a FlowError (CONNECT_FAILED, CONNECT_TIMEOUT, PEER_IDENTITY). */
export type Connector = (endpoint: Endpoint, signal: AbortSignal) => Promise<Duplex>
