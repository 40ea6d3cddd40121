// The sidecars that are connected and what each has in force: the source of "applied by 41 of 42".
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SubscriptionStatus } from './subscription.ts'

export interface SidecarConnection {
  readonly pod: string
  readonly identity: SpiffeId
  readonly software: string
  readonly addresses: readonly string[]
  /** Milliseconds since 1970. */
  readonly connectedAt: number
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

/** Over the sidecars that hold a resource which the object shaped. */
export interface ObjectStanding {
  readonly object: string
  readonly applied: number
  readonly of: number
  readonly lagging: readonly string[]
  readonly refused: readonly { readonly pod: string; readonly error: string }[]
}

export interface Sidecars {
  add(connection: SidecarConnection): () => void
  countOf(pod: string): number
  countOfIdentity(identity: SpiffeId): number
  statuses(): readonly SidecarStatus[]
  objects(): readonly ObjectStanding[]
}

export function createSidecars(): Sidecars {
  const connections = new Set<SidecarConnection>()
  /** A sidecar that renews its certificate has two streams for a moment: the newer counts. */
  const newest = () => [...new Map([...connections].map((connection) => [connection.pod, connection])).values()]
  const count = (test: (connection: SidecarConnection) => boolean) => [...connections].filter(test).length
  return {
    add(connection) {
      connections.add(connection)
      return () => connections.delete(connection)
    },
    countOf: (pod) => count((connection) => connection.pod === pod),
    countOfIdentity: (identity) => count((connection) => connection.identity === identity),
    statuses: () =>
      newest()
        .map(statusOf)
        .sort((a, b) => (a.pod < b.pod ? -1 : 1)),
    objects: () => standings(newest()),
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

interface Tally {
  of: number
  lagging: string[]
  refused: { pod: string; error: string }[]
}

function standings(connections: readonly SidecarConnection[]): readonly ObjectStanding[] {
  const tallies = new Map<string, Tally>()
  for (const { pod, subscriptions } of connections) {
    const held = subscriptions()
    for (const object of new Set(held.flatMap((one) => one.objects))) {
      const tally = tallies.get(object) ?? { of: 0, lagging: [], refused: [] }
      tallies.set(object, tally)
      tally.of++
      const late = held.filter((one) => one.objects.includes(object) && one.applied !== one.current)
      if (late.length === 0) continue
      tally.lagging.push(pod)
      const refusal = late.find((one) => one.refused !== null)?.refused
      if (refusal) tally.refused.push({ pod, error: refusal.error })
    }
  }
  return [...tallies]
    .map(([object, tally]) => ({ object, applied: tally.of - tally.lagging.length, ...tally }))
    .sort((a, b) => (a.object < b.object ? -1 : 1))
}
