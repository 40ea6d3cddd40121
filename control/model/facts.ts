// All that is compiled, in tables: documents, and what exists. Whoever keeps it current sets the rows that have changed.
import { canonicalHost } from '#shared/address.ts'
import type { ObjectRef } from '#shared/decide/config.ts'
import type { Kind, Resource, ResourceOf } from '#shared/resources/kinds.ts'
import type { Loaded } from '#shared/resources/load.ts'
import { MESH_NAMESPACE } from '#shared/resources/mesh-policy.ts'
import type { World, WorldGrant, WorldNode, WorldPod, WorldService, WorldSlice } from '#shared/standalone/world.ts'
import { rangeAround } from './ranges.ts'
import { compareText, describeRef, type ObjectStatus } from './status.ts'
import { Table } from './tracked.ts'

/** `parent`, `target`: "Service shop/catalog". `anchor`: one label of a Service's selector. */
export type Documents = Pick<Table<Loaded, DocumentIndex>, 'get' | 'by'>

export interface FactsOptions {
  readonly trustDomain: string
  readonly systemNamespace: string
  /** Where pods reach control: addresses, or the Service that has them, "weft-system/weft-control". */
  readonly gateways: readonly string[] | string
  /** Absent: those around the addresses that there are. */
  readonly ranges?: readonly string[]
  /** Whether endpoints follow from EndpointSlices. */
  readonly hasSlices: boolean
  /** Whether there can be ReferenceGrants. */
  readonly hasGrants: boolean
}

export interface SliceOf extends WorldSlice {
  /** "shop/catalog" */
  readonly service: string
}

type DocumentIndex = 'kind' | 'parent' | 'target' | 'anchor'

const KEYS_OF_DOCUMENTS: Readonly<Record<DocumentIndex, (document: Loaded) => readonly string[]>> = {
  kind: ({ resource }) => [resource.kind],
  parent: ({ resource }) => (resource.kind === 'HTTPRoute' ? parentsOf(resource) : []),
  target: ({ resource }) => (resource.kind === 'TrafficPolicy' ? targetsOf(resource) : []),
  anchor: ({ resource }) => (resource.kind === 'Service' ? anchorOf(resource) : []),
}

export class Facts {
  readonly options: FactsOptions
  /** By "HTTPRoute shop/catalog". */
  readonly documents = new Table<Loaded, DocumentIndex>(KEYS_OF_DOCUMENTS)
  readonly keysOf = KEYS_OF_DOCUMENTS
  /** By "shop/catalog". */
  readonly services = new Table<WorldService, 'host' | 'range' | 'external' | 'claimed' | 'nodePort'>({
    host: ({ addresses }) => addresses.map(canonicalHost),
    range: ({ addresses }) => addresses.map(rangeAround),
    external: ({ externalAddresses = [] }) => externalAddresses.map(canonicalHost),
    claimed: ({ namespace, claimedAddresses = [] }) =>
      claimedAddresses.map((host) => `${namespace} ${canonicalHost(host)}`),
    nodePort: ({ nodePorts = [] }) => nodePorts.map(([nodePort]) => `${nodePort}`),
  })
  readonly pods = new Table<WorldPod, 'host' | 'range' | 'label' | 'likeness'>({
    host: ({ addresses }) => addresses.map(canonicalHost),
    range: ({ addresses }) => addresses.map(rangeAround),
    label: ({ namespace, labels }) => labelKeys(namespace, labels),
    likeness: (pod) => [likenessOf(pod)],
  })
  readonly slices = new Table<SliceOf, 'service'>({ service: ({ service }) => [service] })
  readonly nodes = new Table<WorldNode, 'host'>({ host: ({ addresses }) => addresses.map(canonicalHost) })
  readonly grants = new Table<WorldGrant, 'namespace'>({ namespace: ({ namespace }) => [namespace] })
  /** What is said of objects that are no documents, since their text is not right; by name, as documents. */
  readonly refused = new Table<readonly ObjectStatus[], 'all'>({ all: () => [''] })

  constructor(options: FactsOptions) {
    this.options = options
  }

  gateways(): readonly string[] {
    const { gateways } = this.options
    return typeof gateways === 'string' ? (this.services.get(gateways)?.addresses ?? []) : gateways
  }
}

export function factsOf(documents: readonly Loaded[], world: World): Facts {
  const { trustDomain, systemNamespace = MESH_NAMESPACE, podCIDRs, serviceCIDRs, gateways } = world.mesh
  const { slices, grants } = world
  const ranges = [...podCIDRs, ...serviceCIDRs]
  const [hasSlices, hasGrants] = [slices !== undefined, grants !== undefined]
  const facts = new Facts({ trustDomain, systemNamespace, gateways, ranges, hasSlices, hasGrants })
  for (const document of documents) facts.documents.set(document.name, document)
  for (const service of world.services) facts.services.set(`${service.namespace}/${service.name}`, service)
  for (const pod of world.pods) facts.pods.set(pod.name, pod)
  for (const [service, list] of slices ?? [])
    for (const [index, slice] of list.entries()) facts.slices.set(`${service} ${inOrder(index)}`, { ...slice, service })
  for (const [name, node] of world.nodes ?? []) facts.nodes.set(name, node)
  for (const [index, grant] of (grants ?? []).entries()) facts.grants.set(`${index}`, grant)
  return facts
}

/** As text sorts it. */
const inOrder = (index: number) => `${index}`.padStart(6, '0')

/** The resources of one kind, in the order of their names. */
export function allOf<K extends Kind>(documents: Documents, kind: K): readonly ResourceOf<K>[] {
  return resourcesOf(documents, documents.by('kind', kind), kind)
}

export function resourcesOf<K extends Kind>(
  documents: Documents,
  names: Iterable<string>,
  kind: K,
): readonly ResourceOf<K>[] {
  return [...names].sort(compareText).flatMap((name) => resourceOf(documents, name, kind) ?? [])
}

export function resourceOf<K extends Kind>(documents: Documents, name: string, kind: K): ResourceOf<K> | undefined {
  const resource = documents.get(name)?.resource
  const isIt = (one: Resource): one is ResourceOf<K> => one.kind === kind
  return resource !== undefined && isIt(resource) ? resource : undefined
}

type Route = ResourceOf<'HTTPRoute'>

export function ancestorOf(
  { metadata }: Route,
  { namespace = metadata.namespace, name }: Route['spec']['parentRefs'][number],
): string {
  return describeRef({ kind: 'Service', namespace, name })
}

const parentsOf = (route: Route) => route.spec.parentRefs.map((parent) => ancestorOf(route, parent))

const targetsOf = ({ metadata: { namespace }, spec }: ResourceOf<'TrafficPolicy'>) =>
  spec.targetRefs.map(({ kind, name }): string => describeRef({ kind, namespace, name } satisfies ObjectRef))

const anchorOf = ({ metadata, spec }: ResourceOf<'Service'>) => labelKeys(metadata.namespace, spec.selector).slice(0, 1)

export const labelKeys = (namespace: string, labels: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(labels)
    .map(([name, value]) => `${namespace} ${name} ${value}`)
    .sort()

/** Of pods for which it is equal the same MeshPolicies act: pods are many and differ little. */
export const likenessOf = ({ namespace, labels }: Pick<WorldPod, 'namespace' | 'labels'>): string =>
  JSON.stringify([namespace, ...Object.entries(labels).sort(([a], [b]) => compareText(a, b))])

export function readLikeness(likeness: string): Pick<WorldPod, 'namespace' | 'labels'> {
  const [namespace, ...labels] = JSON.parse(likeness) as [string, ...[string, string][]]
  return { namespace, labels: Object.fromEntries(labels) }
}
