// From objects of the API server to what is compiled: documents and the world. Pure.
import type { Loaded } from '#shared/resources/load.ts'
import type { World, WorldGrant, WorldNode, WorldPod, WorldService, WorldSlice } from '#shared/standalone/world.ts'
import { rangesAround, singleRanges } from '../model/ranges.ts'
import { compareText } from '../model/status.ts'
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
  const known = [...services.values()].map(toWorldService)
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
    slices: Map.groupBy<string, WorldSlice>(inOrder(slices), (slice) => (slice as KubeSlice).service),
  }
}

const inOrder = (slices: ReadonlyMap<string, KubeSlice>) =>
  [...slices].sort(([a], [b]) => compareText(a, b)).map(([, slice]) => slice)

export function toDocuments({ services, documents }: KubeObjects): readonly Loaded[] {
  const loaded = documents.flatMap((map) => [...map.values()].flatMap((document) => document.loaded ?? []))
  return [...[...services.values()].map(toLoaded), ...loaded]
}

export function toWorldService({ resource, ...rest }: KubeService): WorldService {
  const { namespace, name } = resource.metadata
  return { namespace, name, ...rest }
}

export function toLoaded({ resource }: KubeService): Loaded {
  const { namespace, name } = resource.metadata
  return { resource, name: `Service ${namespace}/${name}`, file: SOURCE, line: 0 }
}
