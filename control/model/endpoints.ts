// Which pods stand behind a backend, where each listens and which identity it must prove.
import { isIPv6 } from 'node:net'
import { canonicalHost, formatAddress } from '#shared/address.ts'
import type { EndpointState, Family } from '#shared/contract/discovery.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import { type Inventory, isWithin, type Pod, type ServiceAtPort, targetPortOf } from './inventory.ts'

/** The sidecar's own ports on a pod (metrics, health): iptables leaves them alone, so they are dialled in clear. */
const SIDECAR_PORTS = new Set([15020, 15021])

export interface EndpointParts {
  readonly inventory: Inventory
  /** Whether the pod's sidecar takes mutual TLS at all. */
  readonly takesTls: (pod: Pod) => boolean
}

/** "shop/catalog:80" */
export function serviceBackend({ service, port }: ServiceAtPort): string {
  return `${service.metadata.namespace}/${service.metadata.name}:${port.port}`
}

/** "shop/catalog-0.pod:8080". No service can have this name: theirs hold no dot. */
export function podBackend(pod: Pod, port: number): string {
  return `${pod.world.namespace}/${pod.world.name}.pod:${port}`
}

/** Empty for a backend that does not exist. */
export function endpointsOf(parts: EndpointParts, backend: string, family: Family): readonly EndpointState[] {
  const match = /^([^/]+)\/([^/:]+):(\d+)$/.exec(backend)
  const [, namespace = '', name = '', port = ''] = match ?? []
  if (!name.endsWith('.pod')) return endpointsOfService(parts, `${namespace}/${name}`, Number(port), family)
  const pod = parts.inventory.pods.get(name.slice(0, -'.pod'.length))
  return pod === undefined || pod.world.namespace !== namespace ? [] : endpointsOfPod(parts, pod, Number(port), family)
}

function endpointsOfService(
  parts: EndpointParts,
  name: string,
  number: number,
  family: Family,
): readonly EndpointState[] {
  const service = parts.inventory.services.get(name)
  const port = service?.spec.ports.find((candidate) => candidate.port === number)
  if (service === undefined || port === undefined) return []
  const pods = parts.inventory.podsOf(service)
  const usable = service.spec.publishNotReadyAddresses ? pods : servingPods(pods)
  return usable.flatMap((pod) => {
    const target = targetPortOf(port, pod)
    return target === undefined ? [] : endpointsOfPod(parts, pod, target, family)
  })
}

/** Terminating pods that still serve are better than none, as kube-proxy sees it. */
function servingPods(pods: readonly Pod[]): readonly Pod[] {
  const ready = pods.filter(({ world }) => world.ready && !world.terminating)
  return ready.length > 0 ? ready : pods.filter(({ world }) => world.ready)
}

function endpointsOfPod(parts: EndpointParts, pod: Pod, port: number, family: Family): readonly EndpointState[] {
  const host = pod.world.addresses.find((address) => isIPv6(address) === (family === 'ipv6'))
  if (host === undefined) return []
  const address = formatAddress({ host: canonicalHost(host), port })
  return [{ address, weight: 1, identity: identityOf(parts, pod, port), pod: pod.world.name }]
}

function identityOf(parts: EndpointParts, pod: Pod, port: number): string {
  const { world } = pod
  const isSeen = world.isMeshed && !SIDECAR_PORTS.has(port) && !isWithin(port, pod.skippedPorts)
  if (!isSeen || !parts.takesTls(pod)) return ''
  const { trustDomain } = parts.inventory.world.mesh
  return formatSpiffeId({ trustDomain, namespace: world.namespace, serviceAccount: world.serviceAccount })
}
