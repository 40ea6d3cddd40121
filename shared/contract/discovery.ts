// The messages of discovery.proto as TypeScript sees them, and the names of resources.
import { isIPv6 } from 'node:net'
import type { Client, ClientDuplexStream, Metadata } from '@grpc/grpc-js'
import { parseAddress } from '#shared/address.ts'

export type ResourceType = 'WORKLOAD' | 'DESTINATION' | 'ENDPOINTS'
export type Family = 'ipv4' | 'ipv6'

export interface Held {
  readonly type: ResourceType
  readonly name: string
  /** Empty: none. */
  readonly version: string
}

export interface EndpointState {
  /** "10.77.0.5:8080" or "[fd77::5]:8080" */
  readonly address: string
  readonly weight: number
  /** Empty: not meshed. */
  readonly identity: string
  readonly pod: string
}

export interface EndpointDelta {
  readonly baseVersion: string
  readonly upserts: readonly EndpointState[]
  readonly removals: readonly string[]
}

/** Exactly one of the four states is there; `state` names it in what was received and may be left out of what is sent. */
export interface Resource {
  readonly type: ResourceType
  readonly name: string
  readonly version: string
  readonly state?: 'configuration' | 'endpoints' | 'delta' | 'notOurs'
  readonly configuration?: string
  readonly endpoints?: { readonly endpoints: readonly EndpointState[] }
  readonly delta?: EndpointDelta
  readonly notOurs?: { readonly cidr: string }
}

export interface Applied extends Held {
  /** Empty: in force. */
  readonly error: string
}

export interface SidecarMessage {
  readonly message?: 'hello' | 'subscribe' | 'unsubscribe' | 'report'
  readonly hello?: {
    readonly pod: string
    readonly software: string
    readonly addresses: readonly string[]
    /** Milliseconds since 1970 by the clock of the sidecar; 0 from one that does not say. */
    readonly openedAtMs: number
  }
  readonly subscribe?: { readonly resources: readonly Held[] }
  readonly unsubscribe?: { readonly resources: readonly Held[] }
  readonly report?: { readonly applied: readonly Applied[] }
}

export interface ControlMessage {
  readonly message?: 'welcome' | 'update' | 'move'
  /** `spreadMs` 0: not told. */
  readonly welcome?: { readonly software: string; readonly spreadMs: number }
  readonly update?: { readonly resources: readonly Resource[] }
  readonly move?: { readonly withinMs: number }
}

export interface DiscoveryClient extends Client {
  Sync(metadata: Metadata): ClientDuplexStream<SidecarMessage, ControlMessage>
}

export const resourceKey = (resource: { readonly type: ResourceType; readonly name: string }): string =>
  `${resource.type} ${resource.name}`

/** "shop/catalog:8080/ipv4" */
export const endpointsName = (backend: string, family: Family): string => `${backend}/${family}`

/** The inverse of endpointsName; throws a TypeError naming what was found. */
export function parseEndpointsName(name: string): { readonly backend: string; readonly family: Family } {
  const match = /^(.{1,512})\/(ipv4|ipv6)$/.exec(name)
  if (match?.[1] === undefined) throw new TypeError(`"${name}" is not a name such as shop/catalog:8080/ipv4`)
  return { backend: match[1], family: match[2] as Family }
}

/** The family of a destination's name, "10.96.0.7:8080" or "[fd00::7]:8080"; throws a TypeError when it is no address. */
export function familyOf(destination: string): Family {
  return isIPv6(parseAddress(destination).host) ? 'ipv6' : 'ipv4'
}
