// Everything that compiling looks up by name, label or address. What is looked up is noted (tracked.ts), so that what was compiled
// from it is compiled anew when it changes.
import { canonicalHost } from '#shared/address.ts'
import { type PortSpan, parsePortRanges } from '#shared/pod/annotation-values.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { WorkloadResource } from '#shared/resources/workload.ts'
import type { WorldNode, WorldPod, WorldService, WorldSlice } from '#shared/standalone/world.ts'
import { type Facts, labelKeys, resourceOf, resourcesOf } from './facts.ts'
import { compareText } from './status.ts'
import { remembered } from './tracked.ts'
import { createVirtualAddresses, type VirtualAddresses } from './virtual-addresses.ts'

/** What policies say of a pod's ports, where its annotations say nothing. */
export interface PortDefaults {
  readonly compatPorts: readonly PortSpan[]
}

export interface Pod extends PortDefaults {
  readonly world: WorldPod
  readonly ports: readonly PodPort[]
  /** The pod's sidecar does not see connections to these. */
  readonly skippedPorts: readonly PortSpan[]
  readonly opaquePorts: readonly PortSpan[]
}

export interface PodPort {
  readonly name?: string | undefined
  readonly containerPort: number
  readonly appProtocol?: string | undefined
}

/** Services, pods and nodes by name. */
export interface Inventory {
  readonly facts: Facts
  readonly virtual: VirtualAddresses
  service(name: string): ServiceResource | undefined
  /** A service that has no virtual address. */
  isHeadless(service: string): boolean
  /** One with internalTrafficPolicy: Local. */
  isLocalOnly(service: string): boolean
  /** undefined: endpoints follow from labels and readiness of pods. */
  slicesOf(service: string): readonly WorldSlice[] | undefined
  node(name: string): WorldNode | undefined
  pod(name: string): Pod | undefined
  podAt(host: string): Pod | undefined
  /** Pods that a service selects, in the order of their names. */
  podsOf(service: ServiceResource): readonly Pod[]
  servicesOf(pod: Pod): readonly ServiceResource[]
}

export function createInventory(facts: Facts, defaultsOf: (pod: WorldPod) => PortDefaults): Inventory {
  const service = (name: string) => resourceOf(facts.documents, `Service ${name}`, 'Service')
  const entry = (name: string): WorldService | undefined => facts.services.get(name)
  const pods = remembered((name) => findPod(facts, name, defaultsOf))
  const pod = (name: string) => pods.get(name)
  const selected = remembered((name) => selectPods(facts, service(name), pod))
  const selecting = remembered((name) => selectServices(facts, pod(name)))
  return {
    facts,
    virtual: createVirtualAddresses(facts, service),
    service,
    isHeadless: (name) => entry(name)?.addresses.length === 0,
    isLocalOnly: (name) => entry(name)?.isLocalOnly === true,
    slicesOf: (name) => (facts.options.hasSlices ? slicesOf(facts, name) : undefined),
    node: (name) => facts.nodes.get(name),
    pod,
    podAt: (host) => podAt(facts, host, pod),
    podsOf: ({ metadata }) => selected.get(keyOf(metadata)),
    servicesOf: ({ world }) => selecting.get(world.name),
  }
}

const keyOf = (metadata: { readonly namespace: string; readonly name: string }) =>
  `${metadata.namespace}/${metadata.name}`

function findPod(
  { pods, documents }: Facts,
  name: string,
  defaultsOf: (pod: WorldPod) => PortDefaults,
): Pod | undefined {
  const world = pods.get(name)
  if (world === undefined) return undefined
  const isWhole = world.annotations !== undefined && world.ports !== undefined
  const workload = `Workload ${world.namespace}/${world.workload}`
  return toPod(world, isWhole ? undefined : resourceOf(documents, workload, 'Workload'), defaultsOf(world))
}

function toPod(world: WorldPod, workload: WorkloadResource | undefined, defaults: PortDefaults): Pod {
  const annotations = world.annotations ?? workload?.metadata.annotations
  // A value that is none counts as if it were not there; one that is empty says: no port.
  const ranges = (name: string, fallback: readonly PortSpan[] = []) => {
    const text = annotations?.[`config.weft.dev/${name}`]
    return text === undefined ? fallback : (parsePortRanges(text) ?? fallback)
  }
  return {
    world,
    ports: world.ports ?? workload?.spec.ports ?? [],
    skippedPorts: ranges('skip-inbound-ports'),
    opaquePorts: ranges('opaque-ports'),
    compatPorts: ranges('compat-ports', defaults.compatPorts),
  }
}

/** An address that an ending pod has given up may be another's already. */
function podAt({ pods }: Facts, host: string, find: Inventory['pod']): Pod | undefined {
  const there = podsIn(pods.by('host', canonicalHost(host)), find)
  return there.findLast(({ world }) => !world.terminating) ?? there.at(-1)
}

const podsIn = (names: Iterable<string>, find: Inventory['pod']): readonly Pod[] =>
  [...names].sort(compareText).flatMap((name) => find(name) ?? [])

function slicesOf({ slices }: Facts, service: string): readonly WorldSlice[] {
  return [...slices.by('service', service)].sort(compareText).flatMap((name) => slices.get(name) ?? [])
}

/** Looks only at pods that have the rarest of the labels: a thousand services over a thousand pods are a million pairs. */
function selectPods({ pods }: Facts, service: ServiceResource | undefined, find: Inventory['pod']): readonly Pod[] {
  // Without a selector it selects none: somebody else says what stands behind it.
  const { namespace = '' } = service?.metadata ?? {}
  const { selector = {} } = service?.spec ?? {}
  const counted = labelKeys(namespace, selector).map((key) => ({ key, count: pods.countBy('label', key) }))
  const [first, ...others] = counted
  if (first === undefined) return []
  const rarest = others.reduce((best, one) => (one.count < best.count ? one : best), first)
  return podsIn(pods.by('label', rarest.key), find).filter(({ world }) => hasLabels(world.labels, selector))
}

/** A service is found by one of the labels that it asks for. */
function selectServices({ documents }: Facts, pod: Pod | undefined): readonly ServiceResource[] {
  const { namespace = '', labels = {} } = pod?.world ?? {}
  const names = labelKeys(namespace, labels).flatMap((key) => [...documents.by('anchor', key)])
  return resourcesOf(documents, names, 'Service').filter(({ spec }) => hasLabels(labels, spec.selector))
}

export function hasLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value)
}

/** Of the pod within its namespace: in a cluster the name in the model has the namespace before it. */
export function ownName({ world: { namespace, name } }: Pod): string {
  return name.startsWith(`${namespace}/`) ? name.slice(namespace.length + 1) : name
}

export const isWithin = (port: number, ranges: readonly PortSpan[]): boolean =>
  ranges.some(({ from, to }) => port >= from && port <= to)

/** Where a pod listens for a port of a service; undefined when it has no port of that name. */
export function targetPortOf(port: ServicePort, pod: Pod): number | undefined {
  const { targetPort = port.port } = port
  if (typeof targetPort === 'number') return targetPort
  return pod.ports.find(({ name }) => name === targetPort)?.containerPort
}
