// Which endpoints of a service a caller gets: by their condition, and by where both are. What kube-proxy does for a node
// (pkg/proxy/topology.go in Kubernetes 1.34) is done here for a pod, since sidecars pass kube-proxy by.
import type { Place, WorldEndpoint, WorldSlice } from '#shared/standalone/world.ts'
import type { Inventory } from './inventory.ts'
import { remembered } from './tracked.ts'

/** Of a caller for whom it makes no difference. */
const ANYWHERE: Place = { node: '', zone: '' }

export interface Candidate extends WorldEndpoint {
  readonly isReady: boolean
  /** About to end, and serving until then. */
  readonly isEnding: boolean
}

/**
 * Ready endpoints; where there are none, those that end but still serve. `place` undefined: whoever asks, all of them.
 * `isLocalOnly`: those on the caller's node and no others.
 */
export function choose<T extends Candidate>(
  candidates: readonly T[],
  place: Place | undefined,
  isLocalOnly: boolean,
): readonly T[] {
  const isHere = ({ node }: T) => !isLocalOnly || place === undefined || (node !== undefined && node === place.node)
  const here = candidates.filter(isHere)
  const ready = here.filter(({ isReady }) => isReady)
  if (ready.length === 0) return here.filter(({ isEnding }) => isEnding)
  return isLocalOnly || place === undefined ? ready : nearestOf(ready, place)
}

/** By hints: those for the node, else those for the zone. One endpoint without a hint, or none for here: all of them. */
function nearestOf<T extends WorldEndpoint>(ready: readonly T[], { node, zone }: Place): readonly T[] {
  return hinted(ready, ({ forNodes }) => forNodes, node) ?? hinted(ready, ({ forZones }) => forZones, zone) ?? ready
}

function hinted<T>(
  ready: readonly T[],
  hintsOf: (endpoint: T) => readonly string[] | undefined,
  here: string,
): readonly T[] | undefined {
  if (!ready.every((endpoint) => (hintsOf(endpoint) ?? []).length > 0)) return undefined
  const near = ready.filter((endpoint) => hintsOf(endpoint)?.includes(here))
  return near.length > 0 ? near : undefined
}

export interface Topology {
  /** As much of where a pod is as the endpoints of the service depend on: what is the same for two callers is compiled once. */
  placeOf(service: string, pod: string): Place
}

type Reach = 'node' | 'zone' | 'anywhere'

export function createTopology(inventory: Inventory): Topology {
  const reaches = remembered((service): Reach => {
    return inventory.isLocalOnly(service) ? 'node' : reachOfHints(inventory.slicesOf(service))
  })
  return {
    placeOf(service, pod) {
      const reach = reaches.get(service)
      if (reach === 'anywhere') return ANYWHERE
      const node = inventory.pod(pod)?.world.node ?? ''
      const zone = inventory.node(node)?.zone ?? ''
      return { node: reach === 'node' ? node : '', zone }
    },
  }
}

function reachOfHints(slices: readonly WorldSlice[] = []): Reach {
  const has = (hintsOf: (endpoint: WorldEndpoint) => readonly string[] | undefined) =>
    slices.some(({ endpoints }) => endpoints.some((endpoint) => hintsOf(endpoint) !== undefined))
  if (has(({ forNodes }) => forNodes)) return 'node'
  return has(({ forZones }) => forZones) ? 'zone' : 'anywhere'
}
