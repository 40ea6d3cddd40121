// From objects of the API server to what is compiled: documents and the world. Pure.
import { canonicalHost } from '#shared/address.ts'
import type { Loaded } from '#shared/resources/load.ts'
import type { World, WorldGrant, WorldNode, WorldPod, WorldSlice } from '#shared/standalone/world.ts'
import { type KubeDocument, SOURCE } from './kubernetes-documents.ts'
import type { KubeService, KubeSlice } from './kubernetes-services.ts'

export interface KubeObjects {
  readonly services: ReadonlyMap<string, KubeService>
  readonly slices: ReadonlyMap<string, KubeSlice>
  readonly pods: ReadonlyMap<string, WorldPod>
  readonly nodes: ReadonlyMap<string, WorldNode>
  readonly grants: ReadonlyMap<string, WorldGrant>
  /** Of each kind. */
  readonly documents: readonly ReadonlyMap<string, KubeDocument>[]
}

export interface MeshFacts {
  readonly trustDomain: string
  readonly systemNamespace: string
  /** The Service there at which sidecars find control and its receiver of spans. */
  readonly controlService: string
}

export function toWorld(
  { services, slices, pods, nodes, grants }: KubeObjects,
  { trustDomain, systemNamespace, controlService }: MeshFacts,
): World {
  const known = [...services.values()].map(({ resource, ...rest }) => {
    const { namespace, name } = resource.metadata
    return { namespace, name, ...rest }
  })
  const podList = [...pods.values()]
  const nodeAddresses = [...nodes.values()].flatMap(({ addresses }) => addresses)
  return {
    mesh: {
      name: SOURCE,
      trustDomain,
      systemNamespace,
      podCIDRs: rangesAround(podList.flatMap(({ addresses }) => addresses)),
      serviceCIDRs: [
        ...rangesAround(known.flatMap(({ addresses }) => addresses)),
        ...singleRanges(
          known.flatMap(({ externalAddresses = [], claimedAddresses = [] }) => [
            ...externalAddresses,
            ...claimedAddresses,
          ]),
        ),
        ...(known.some(({ nodePorts }) => nodePorts) ? singleRanges(nodeAddresses) : []),
      ],
      gateways: services.get(`${systemNamespace}/${controlService}`)?.addresses ?? [],
    },
    services: known,
    pods: podList,
    nodes,
    grants: [...grants.values()],
    slices: Map.groupBy<string, WorldSlice>(slices.values(), (slice) => (slice as KubeSlice).service),
  }
}

export function toDocuments({ services, documents }: KubeObjects): readonly Loaded[] {
  const loaded = documents.flatMap((map) => [...map.values()].flatMap((document) => document.loaded ?? []))
  return [...[...services.values()].map(asLoaded), ...loaded]
}

function asLoaded({ resource }: KubeService): Loaded {
  const { namespace, name } = resource.metadata
  return { resource, name: `Service ${namespace}/${name}`, file: SOURCE, line: 0 }
}

/**
 * A cluster tells nobody its ranges in a way that holds everywhere. Wider than true does no harm: of an address within, sidecars ask
 * one by one instead of taking one answer for a whole range.
 */
export function rangesAround(addresses: readonly string[]): readonly string[] {
  return [...new Set(addresses.map(rangeAround))].sort()
}

/** What is around an address from outside is not ours. */
const singleRanges = (addresses: readonly string[]) =>
  [...new Set(addresses.map((address) => `${address}/${address.includes(':') ? 128 : 32}`))].sort()

function rangeAround(address: string): string {
  if (!address.includes(':')) return `${address.slice(0, address.indexOf('.', address.indexOf('.') + 1))}.0.0/16`
  const [head = ''] = canonicalHost(address).split('::')
  const groups = head === '' ? [] : head.split(':')
  return `${[...groups, '0', '0', '0', '0'].slice(0, 4).join(':')}::/64`
}
