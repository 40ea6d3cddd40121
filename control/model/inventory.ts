// Everything that compiling looks up by name, label or address: made once a model, then only read.
import { canonicalHost, formatAddress } from '#shared/address.ts'
import { type PortSpan, parsePortRanges } from '#shared/pod/annotation-values.ts'
import { type Loaded, ofKind } from '#shared/resources/load.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { WorkloadResource } from '#shared/resources/workload.ts'
import type { World, WorldPod } from '#shared/standalone/world.ts'
import { compareText } from './status.ts'

export interface Pod {
  readonly world: WorldPod
  readonly workload: WorkloadResource | undefined
  /** The pod's sidecar does not see connections to these. */
  readonly skippedPorts: readonly PortSpan[]
  readonly opaquePorts: readonly PortSpan[]
}

export interface ServiceAtPort {
  readonly service: ServiceResource
  readonly port: ServicePort
}

export interface Inventory {
  readonly world: World
  readonly services: ReadonlyMap<string, ServiceResource>
  readonly pods: ReadonlyMap<string, Pod>
  /** By formatted virtual address and port. */
  readonly byVirtualAddress: ReadonlyMap<string, ServiceAtPort>
  readonly byPodAddress: ReadonlyMap<string, Pod>
  /** Pods that a service selects, in the order of their names. */
  podsOf(service: ServiceResource): readonly Pod[]
  servicesOf(pod: Pod): readonly ServiceResource[]
}

export function takeInventory(documents: readonly Loaded[], world: World): Inventory {
  const services = new Map(ofKind(documents, 'Service').map((service) => [keyOf(service.metadata), service]))
  const workloads = new Map(ofKind(documents, 'Workload').map((workload) => [keyOf(workload.metadata), workload]))
  const all = world.pods
    .map((pod) => toPod(pod, workloads.get(`${pod.namespace}/${pod.workload}`)))
    .sort((a, b) => compareText(a.world.name, b.world.name))
  const selected = selectPods(services.values(), all)
  const selecting = new Map<Pod, ServiceResource[]>(all.map((pod) => [pod, []]))
  const ordered = [...selected].sort(([a], [b]) => compareText(keyOf(a.metadata), keyOf(b.metadata)))
  for (const [service, pods] of ordered) for (const pod of pods) selecting.get(pod)?.push(service)
  return {
    world,
    services,
    pods: new Map(all.map((pod) => [pod.world.name, pod])),
    byVirtualAddress: virtualAddresses(world, services),
    byPodAddress: new Map(all.flatMap((pod) => pod.world.addresses.map((host) => [canonicalHost(host), pod] as const))),
    podsOf: (service) => selected.get(service) ?? [],
    servicesOf: (pod) => selecting.get(pod) ?? [],
  }
}

const keyOf = (metadata: { readonly namespace: string; readonly name: string }) =>
  `${metadata.namespace}/${metadata.name}`

function toPod(world: WorldPod, workload: WorkloadResource | undefined): Pod {
  const ranges = (name: string) =>
    parsePortRanges(workload?.metadata.annotations[`config.weft.dev/${name}`] ?? '') ?? []
  return { world, workload, skippedPorts: ranges('skip-inbound-ports'), opaquePorts: ranges('opaque-ports') }
}

function selectPods(services: Iterable<ServiceResource>, pods: readonly Pod[]): Map<ServiceResource, readonly Pod[]> {
  const byNamespace = Map.groupBy(pods, (pod) => pod.world.namespace)
  const selected = new Map<ServiceResource, readonly Pod[]>()
  for (const service of services) {
    const near = byNamespace.get(service.metadata.namespace) ?? []
    selected.set(
      service,
      near.filter((pod) => hasLabels(pod.world.labels, service.spec.selector)),
    )
  }
  return selected
}

export function hasLabels(labels: Readonly<Record<string, string>>, wanted: Readonly<Record<string, string>>): boolean {
  return Object.entries(wanted).every(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value)
}

export const isWithin = (port: number, ranges: readonly PortSpan[]): boolean =>
  ranges.some(({ from, to }) => port >= from && port <= to)

function virtualAddresses(world: World, services: ReadonlyMap<string, ServiceResource>): Map<string, ServiceAtPort> {
  const found = new Map<string, ServiceAtPort>()
  for (const entry of world.services) {
    const service = services.get(keyOf(entry))
    for (const port of service?.spec.ports ?? []) {
      if (service === undefined) continue
      for (const host of entry.addresses) {
        found.set(formatAddress({ host: canonicalHost(host), port: port.port }), { service, port })
      }
    }
  }
  return found
}

/** Where a pod listens for a port of a service; undefined when it has no port of that name. */
export function targetPortOf(port: ServicePort, pod: Pod): number | undefined {
  const { targetPort = port.port } = port
  if (typeof targetPort === 'number') return targetPort
  return pod.workload?.spec.ports.find(({ name }) => name === targetPort)?.containerPort
}
