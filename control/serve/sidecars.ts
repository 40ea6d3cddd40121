// The sidecars that are connected and what each has in force: the source of "applied by 41 of 42".
import type { SidecarState } from '#shared/contract/replicas.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { type ObjectStanding, sidecarStateOf, standingsOf } from './standings.ts'
import type { SubscriptionStatus } from './subscription.ts'

export interface SidecarConnection {
  readonly pod: string
  readonly identity: SpiffeId
  readonly software: string
  readonly addresses: readonly string[]
  /** Milliseconds since 1970. */
  readonly connectedAt: number
  /** The same by the sidecar's own clock, by which its streams to several replicas can be told apart. */
  readonly openedAtMs: number
  /** Changes whenever `subscriptions` may say something else. */
  revision(): number
  subscriptions(): readonly SubscriptionStatus[]
}

export interface SidecarStatus {
  readonly pod: string
  readonly identity: string
  readonly software: string
  readonly addresses: readonly string[]
  readonly connectedAt: string
  readonly subscriptions: number
  /** Resources whose current version is not in force there. */
  readonly lagging: readonly { readonly resource: string; readonly applied: string; readonly current: string }[]
  readonly refused: readonly { readonly resource: string; readonly version: string; readonly error: string }[]
}

export interface Sidecars {
  add(connection: SidecarConnection): () => void
  /** Pods with a stream to this replica. */
  count(): number
  countOf(pod: string): number
  countOfIdentity(identity: SpiffeId): number
  statuses(): readonly SidecarStatus[]
  /** What each pod has in force; the same object as long as nothing of it changes. */
  pods(): readonly SidecarState[]
  objects(): readonly ObjectStanding[]
}

export function createSidecars(): Sidecars {
  const connections = new Set<SidecarConnection>()
  /** A sidecar that renews its certificate has two streams for a moment: the newer counts. */
  const newest = () => [...new Map([...connections].map((connection) => [connection.pod, connection])).values()]
  const states = new WeakMap<SidecarConnection, { readonly revision: number; readonly state: SidecarState }>()
  const stateOf = (connection: SidecarConnection): SidecarState => {
    const revision = connection.revision()
    const known = states.get(connection)
    if (known?.revision === revision) return known.state
    const state = sidecarStateOf(connection, known?.state)
    states.set(connection, { revision, state })
    return state
  }
  const pods = () => newest().map(stateOf)
  const count = (test: (connection: SidecarConnection) => boolean) => [...connections].filter(test).length
  return {
    add(connection) {
      connections.add(connection)
      return () => connections.delete(connection)
    },
    count: () => newest().length,
    countOf: (pod) => count((connection) => connection.pod === pod),
    countOfIdentity: (identity) => count((connection) => connection.identity === identity),
    statuses: () =>
      newest()
        .map(statusOf)
        .sort((a, b) => (a.pod < b.pod ? -1 : 1)),
    pods,
    objects: () => standingsOf(pods()),
  }
}

function statusOf(connection: SidecarConnection): SidecarStatus {
  const subscriptions = connection.subscriptions()
  const named = (subscription: SubscriptionStatus) => `${subscription.type} ${subscription.name}`
  return {
    pod: connection.pod,
    identity: connection.identity,
    software: connection.software,
    addresses: connection.addresses,
    connectedAt: new Date(connection.connectedAt).toISOString(),
    subscriptions: subscriptions.length,
    lagging: subscriptions
      .filter((one) => one.applied !== one.current)
      .map((one) => ({ resource: named(one), applied: one.applied, current: one.current })),
    refused: subscriptions.flatMap((one) => (one.refused === null ? [] : [{ resource: named(one), ...one.refused }])),
  }
}
