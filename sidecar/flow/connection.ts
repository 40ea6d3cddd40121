// A connection on its way: each step adds a fact, so that steps cannot stand in the wrong order.
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Address } from '#shared/address.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'

export type Direction = 'inbound' | 'outbound'
export type Protocol = 'http/1.1' | 'h2' | 'tls' | 'opaque'

export interface Accepted {
  readonly socket: Socket
  readonly direction: Direction
  /** Aborted when the connection must end (shutdown after the drain limit). */
  readonly signal: AbortSignal
}

export interface Addressed extends Accepted {
  /** Where the application meant to go, before iptables redirected it. */
  readonly destination: Address
}

export interface Secured extends Addressed {
  /** The bytes of the application: the socket itself, or what is inside its TLS. */
  readonly stream: Duplex
  /** Who the peer has proven to be; null without mutual TLS. */
  readonly peer: SpiffeId | null
}
