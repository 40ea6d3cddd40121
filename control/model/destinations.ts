// What a client needs to know of an address that it may dial: a service's virtual address, or a pod's own.
import { parseAddress } from '#shared/address.ts'
import type {
  BackendConfig,
  BackendPolicy,
  DestinationConfig,
  HttpEngine,
  HttpVersion,
  RouteRule,
  ServiceRef,
} from '#shared/decide/config.ts'
import type { ServiceResource } from '#shared/resources/service.ts'
import { podBackend, serviceBackend } from './endpoints.ts'
import { type Inventory, isWithin, type Pod, targetPortOf } from './inventory.ts'
import { type DeclaredPort, declaredHttpVersion, declaredProtocol, type Protocol, protocolOf } from './protocol.ts'
import type { Routes } from './routes.ts'
import { backendPolicy, requestPolicy } from './settings.ts'
import type { TrafficPolicies } from './traffic.ts'
import type { ServiceAtPort } from './virtual-addresses.ts'

export interface DestinationParts {
  readonly inventory: Inventory
  readonly routes: Routes
  readonly policies: TrafficPolicies
}

/** null: not of this mesh. `key` is a formatted address; a text that is none is not of the mesh either. */
export function destinationOf(parts: DestinationParts, key: string, callerNamespace: string): DestinationConfig | null {
  const { virtual, podAt } = parts.inventory
  const address = readAddress(key)
  if (address === undefined) return null
  const service = virtual.at(address, callerNamespace) ?? virtual.atNode(address)
  if (service !== undefined) return serviceDestination(parts, service, callerNamespace)
  const pod = podAt(address.host)
  return pod === undefined ? null : podDestination(parts, pod, address.port)
}

function readAddress(key: string) {
  try {
    return parseAddress(key)
  } catch {
    return undefined
  }
}

const refTo = ({ service, port }: ServiceAtPort): ServiceRef => ({
  namespace: service.metadata.namespace,
  name: service.metadata.name,
  port: port.port,
})

function serviceDestination(parts: DestinationParts, at: ServiceAtPort, callerNamespace: string): DestinationConfig {
  const { namespace, name } = at.service.metadata
  const protocol = serviceProtocol(parts.inventory, at)
  const rules = protocol === 'opaque' ? [] : parts.routes.rulesFor(at.service, at.port.port, callerNamespace)
  const own = serviceBackend(at)
  const keys = new Set([own, ...backendsIn(rules)])
  return {
    service: refTo(at),
    kind: 'service',
    protocol,
    ...serviceEngine(parts.inventory, at),
    rules,
    defaultBackend: own,
    policy: requestPolicy(parts.policies.on('Service', namespace, name)),
    backends: [...keys].map((key) => backendConfig(parts, key)),
  }
}

function backendsIn(rules: readonly RouteRule[]): string[] {
  return rules.flatMap(({ backends }) => backends.map(({ backend }) => backend)).filter((key) => key !== null)
}

function backendConfig(parts: DestinationParts, key: string): BackendConfig {
  const [, namespace = '', name = '', port = ''] = /^(.+)\/(.+):(\d+)$/.exec(key) ?? []
  const policy = backendPolicy(parts.policies.on('Service', namespace, name))
  const service = parts.inventory.service(`${namespace}/${name}`)
  const declared = service?.spec.ports.find((candidate) => candidate.port === Number(port))
  const affinity = sessionAffinityOf(service)
  return {
    key,
    service: { namespace, name, port: Number(port) },
    ...(parts.inventory.isLocalOnly(`${namespace}/${name}`) && { isLocalOnly: true }),
    policy: { ...policy, ...affinity },
    ...versionAt(declared),
  }
}

/** As Kubernetes has it: three hours, where the service does not say. */
const AFFINITY_SECONDS = 10_800

function sessionAffinityOf(service: ServiceResource | undefined): Pick<BackendPolicy, 'sessionAffinityMs'> {
  if (service?.spec.sessionAffinity !== 'ClientIP') return {}
  const { timeoutSeconds = AFFINITY_SECONDS } = service.spec.sessionAffinityConfig?.clientIP ?? {}
  return { sessionAffinityMs: timeoutSeconds * 1000 }
}

/** Said only where it holds, so that what it does not concern stays as it was. */
function versionAt(port: DeclaredPort | undefined): { readonly httpVersion?: HttpVersion } {
  const httpVersion = port && declaredHttpVersion(port)
  return httpVersion === undefined ? {} : { httpVersion }
}

/** One pod, dialled as it is: identity and policy of its service, and no routes. */
function podDestination(parts: DestinationParts, pod: Pod, port: number): DestinationConfig {
  const at = serviceTargeting(parts.inventory, pod, port)
  const { namespace, workload } = pod.world
  const merged = parts.policies.on('Service', namespace, at?.service.metadata.name ?? '')
  const key = podBackend(pod, port)
  return {
    service: at === undefined ? null : refTo(at),
    kind: 'endpoint',
    protocol: podProtocol(parts.inventory, pod, port),
    ...podEngine(pod, port),
    rules: [],
    defaultBackend: key,
    policy: requestPolicy(merged),
    backends: [
      {
        key,
        service: at === undefined ? { namespace, name: workload, port } : refTo(at),
        policy: backendPolicy(merged),
        ...podVersionAt(parts.inventory, pod, port),
      },
    ],
  }
}

/** The service, first by name, that sends to this port of this pod. */
export function serviceTargeting(inventory: Inventory, pod: Pod, port: number): ServiceAtPort | undefined {
  for (const service of inventory.servicesOf(pod)) {
    const found = service.spec.ports.find((candidate) => targetPortOf(candidate, pod) === port)
    if (found !== undefined) return { service, port: found }
  }
  return undefined
}

function serviceProtocol(inventory: Inventory, { service, port }: ServiceAtPort): Protocol {
  const pods = inventory.podsOf(service)
  if (pods.some((pod) => isOpaqueAt(pod, targetPortOf(port, pod)))) return 'opaque'
  const { targetPort } = port
  return protocolOf(port, typeof targetPort === 'number' ? [port.port, targetPort] : [port.port])
}

/** Said only where it holds, as versionAt does. */
export function podEngine(pod: Pod, port: number | undefined): { readonly engine?: HttpEngine } {
  return port !== undefined && isWithin(port, pod.compatPorts) ? { engine: 'compat' } : {}
}

/** A caller cannot know which pod will answer: one of them is enough. */
function serviceEngine(inventory: Inventory, { service, port }: ServiceAtPort): { readonly engine?: HttpEngine } {
  const pod = inventory.podsOf(service).find((one) => podEngine(one, targetPortOf(port, one)).engine !== undefined)
  return pod === undefined ? {} : { engine: 'compat' }
}

const isOpaqueAt = (pod: Pod, port: number | undefined) => port !== undefined && isWithin(port, pod.opaquePorts)

/** What a pod speaks on a port: its annotation, its service, its own declaration, the well-known ports. */
export function podProtocol(inventory: Inventory, pod: Pod, port: number): Protocol {
  if (isOpaqueAt(pod, port)) return 'opaque'
  const at = serviceTargeting(inventory, pod, port)
  const declared = at && declaredProtocol(at.port)
  if (declared !== undefined) return declared
  const own = pod.ports.find(({ containerPort }) => containerPort === port) ?? {}
  return protocolOf(own, at === undefined ? [port] : [port, at.port.port])
}

/** What its service declares, else the pod itself. */
export function podVersionAt(inventory: Inventory, pod: Pod, port: number): { readonly httpVersion?: HttpVersion } {
  const at = serviceTargeting(inventory, pod, port)
  const isDeclared = at !== undefined && declaredProtocol(at.port) !== undefined
  return versionAt(isDeclared ? at.port : pod.ports.find(({ containerPort }) => containerPort === port))
}

/** Ports that the pod declares, and those that services send to. */
export function portsOf(inventory: Inventory, pod: Pod): readonly number[] {
  const declared = pod.ports.map(({ containerPort }) => containerPort)
  const targeted = inventory
    .servicesOf(pod)
    .flatMap((service: ServiceResource) => service.spec.ports.map((port) => targetPortOf(port, pod)))
  const ports = [...declared, ...targeted].filter((port) => port !== undefined)
  return [...new Set(ports)].sort((a, b) => a - b)
}
