// Everything that compiling looks up by name, label or address: made once a model, then only read.
import { canonicalHost } from '#shared/address.ts'
import { type PortSpan, parsePortRanges } from '#shared/pod/annotation-values.ts'
import { type Loaded, ofKind } from '#shared/resources/load.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { WorkloadResource } from '#shared/resources/workload.ts'
import type { World, WorldPod } from '#shared/standalone/world.ts'
import { compareText } from './status.ts'
import { type NodePorts, nodePortsOf, type VirtualAddresses, virtualAddresses } from './virtual-addresses.ts'

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

export interface Inventory {
  readonly world: World
  readonly services: ReadonlyMap<string, ServiceResource>
  /** Services that have no virtual address, by name. */
  readonly headless: ReadonlySet<string>
  readonly pods: ReadonlyMap<string, Pod>
  readonly virtual: VirtualAddresses
  readonly nodePorts: NodePorts
  readonly byPodAddress: ReadonlyMap<string, Pod>
  /** Names of services with internalTrafficPolicy: Local. */
  readonly localOnly: ReadonlySet<string>
  /** Pods that a service selects, in the order of their names. */
  podsOf(service: ServiceResource): readonly Pod[]
  servicesOf(pod: Pod): readonly ServiceResource[]
}

export function takeInventory(
  documents: readonly Loaded[],
  world: World,
  defaultsOf: (pod: WorldPod) => PortDefaults,
): Inventory {
  const services = new Map(ofKind(documents, 'Service').map((service) => [keyOf(service.metadata), service]))
  const workloads = new Map(ofKind(documents, 'Workload').map((workload) => [keyOf(workload.metadata), workload]))
  const all = world.pods
    .map((pod) => toPod(pod, workloads.get(`${pod.namespace}/${pod.workload}`), defaultsOf(pod)))
    .sort((a, b) => compareText(a.world.name, b.world.name))
  const selected = selectPods(services.values(), all)
  const selecting = new Map<Pod, ServiceResource[]>(all.map((pod) => [pod, []]))
  const ordered = [...selected].sort(([a], [b]) => compareText(keyOf(a.metadata), keyOf(b.metadata)))
  for (const [service, pods] of ordered) for (const pod of pods) selecting.get(pod)?.push(service)
  return {
    world,
    services,
    headless: new Set(world.services.filter(({ addresses }) => addresses.length === 0).map(keyOf)),
    pods: new Map(all.map((pod) => [pod.world.name, pod])),
    virtual: virtualAddresses(world, services),
    nodePorts: nodePortsOf(world, services),
    byPodAddress: podAddresses(all),
    localOnly: new Set(world.services.filter(({ isLocalOnly }) => isLocalOnly).map(keyOf)),
    podsOf: (service) => selected.get(service) ?? [],
    servicesOf: (pod) => selecting.get(pod) ?? [],
  }
}

const keyOf = (metadata: { readonly namespace: string; readonly name: string }) =>
  `${metadata.namespace}/${metadata.name}`

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
function podAddresses(pods: readonly Pod[]): Map<string, Pod> {
  const [ending, living] = [
    pods.filter(({ world }) => world.terminating),
    pods.filter(({ world }) => !world.terminating),
  ]
  return new Map(
    [...ending, ...living].flatMap((pod) => pod.world.addresses.map((host) => [canonicalHost(host), pod] as const)),
  )
}

/** Looks only at pods that have the rarest of the labels: a thousand services over a thousand pods are a million pairs. */
function selectPods(services: Iterable<ServiceResource>, pods: readonly Pod[]): Map<ServiceResource, readonly Pod[]> {
  const byLabel = new Map<string, Pod[]>()
  for (const pod of pods) {
    for (const [name, value] of Object.entries(pod.world.labels)) {
      const key = labelKey(pod.world.namespace, name, value)
      const list = byLabel.get(key)
      if (list === undefined) byLabel.set(key, [pod])
      else list.push(pod)
    }
  }
  const selected = new Map<ServiceResource, readonly Pod[]>()
  for (const service of services) {
    const { selector } = service.spec
    const near = Object.entries(selector).map(
      ([name, value]) => byLabel.get(labelKey(service.metadata.namespace, name, value)) ?? [],
    )
    // Without a selector it selects none: somebody else says what stands behind it.
    const fewest = near.reduce((best, list) => (list.length < best.length ? list : best), near[0] ?? [])
    selected.set(
      service,
      fewest.filter((pod) => hasLabels(pod.world.labels, selector)),
    )
  }
  return selected
}

const labelKey = (namespace: string, name: string, value: string) => `${namespace} ${name} ${value}`

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
