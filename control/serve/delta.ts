// Differences between endpoint lists, and the last lists that were served, so that also a sidecar which comes back with an
// older version gets a difference.
import type { EndpointDelta, EndpointState } from '#shared/contract/discovery.ts'

const isSame = (one: EndpointState, other: EndpointState): boolean =>
  one.weight === other.weight && one.identity === other.identity && one.pod === other.pod

export function endpointDelta(
  base: readonly EndpointState[],
  next: readonly EndpointState[],
  baseVersion: string,
): EndpointDelta {
  const before = new Map(base.map((endpoint) => [endpoint.address, endpoint]))
  const upserts: EndpointState[] = []
  for (const endpoint of next) {
    const old = before.get(endpoint.address)
    if (old === undefined || !isSame(old, endpoint)) upserts.push(endpoint)
    before.delete(endpoint.address)
  }
  return { baseVersion, upserts, removals: [...before.keys()] }
}

export interface EndpointHistory {
  remember(version: string, endpoints: readonly EndpointState[]): void
  recall(version: string): readonly EndpointState[] | undefined
}

/** Keyed by version alone, which is a hash of the content. Forgets the least recently used first. */
export function createEndpointHistory(limit = 1024): EndpointHistory {
  const lists = new Map<string, readonly EndpointState[]>()
  const touch = (version: string, endpoints: readonly EndpointState[]) => {
    lists.delete(version)
    lists.set(version, endpoints)
  }
  return {
    remember(version, endpoints) {
      touch(version, endpoints)
      const oldest = lists.keys().next().value
      if (lists.size > limit && oldest !== undefined) lists.delete(oldest)
    },
    recall(version) {
      const found = lists.get(version)
      if (found !== undefined) touch(version, found)
      return found
    },
  }
}
