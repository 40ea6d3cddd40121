// Which pods stand behind a backend, where each listens and which identity it must prove.
import { isIPv6 } from 'node:net'
import { canonicalHost, formatAddress } from '#shared/address.ts'
import type { EndpointState, Family } from '#shared/contract/discovery.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Place, WorldSlice } from '#shared/standalone/world.ts'
import { type Inventory, isWithin, ownName, type Pod, targetPortOf } from './inventory.ts'
import { type Candidate, choose } from './topology.ts'
import type { ServiceAtPort } from './virtual-addresses.ts'

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
  return `${pod.world.namespace}/${ownName(pod)}.pod:${port}`
}

/** "shop/catalog" of "shop/catalog:80"; of a single pod's "shop/catalog-0.pod:8080" what no service is called. */
export const serviceOfBackend = (backend: string): string => backend.slice(0, backend.lastIndexOf(':'))

/** Empty for a backend that does not exist. `place` is the caller's; undefined: as seen from no place in particular. */
export function endpointsOf(
  parts: EndpointParts,
  backend: string,
  family: Family,
  place?: Place,
): readonly EndpointState[] {
  const match = /^([^/]+)\/([^/:]+):(\d+)$/.exec(backend)
  const [, namespace = '', name = '', port = ''] = match ?? []
  const view = { family, place }
  if (!name.endsWith('.pod')) return endpointsOfService(parts, `${namespace}/${name}`, Number(port), view)
  const { inventory } = parts
  const own = name.slice(0, -'.pod'.length)
  const pod = inventory.pod(own) ?? inventory.pod(`${namespace}/${own}`)
  return pod === undefined || pod.world.namespace !== namespace ? [] : endpointsOfPod(parts, pod, Number(port), family)
}

interface View {
  readonly family: Family
  readonly place: Place | undefined
}

function endpointsOfService(parts: EndpointParts, name: string, number: number, view: View): readonly EndpointState[] {
  const service = parts.inventory.service(name)
  const port = service?.spec.ports.find((candidate) => candidate.port === number)
  if (service === undefined || port === undefined) return []
  const slices = parts.inventory.slicesOf(name)
  if (slices !== undefined) return endpointsOfSlices(parts, { service, port }, slices, view)
  const pods = parts.inventory.podsOf(service)
  const usable = service.spec.publishNotReadyAddresses ? pods : servingPods(pods)
  return usable.flatMap((pod) => {
    const target = targetPortOf(port, pod)
    return target === undefined ? [] : endpointsOfPod(parts, pod, target, view.family)
  })
}

interface Found extends Candidate {
  readonly host: string
  readonly port: number
  readonly who: Pod | undefined
}

/** Slices say who stands behind a service and where; pods say earlier than slices that they are about to end. */
function endpointsOfSlices(
  parts: EndpointParts,
  { service, port }: ServiceAtPort,
  slices: readonly WorldSlice[],
  { family, place }: View,
): readonly EndpointState[] {
  const { namespace, name } = service.metadata
  const isAnyFit = service.spec.publishNotReadyAddresses
  const found = slices.flatMap((slice) => foundIn(parts, slice, { portName: port.name ?? '', family, isAnyFit }))
  const usable = choose(found, place, parts.inventory.isLocalOnly(`${namespace}/${name}`))
  const states = usable.map((one) => stateOf(parts, one))
  // For a moment an endpoint may stand in two slices.
  return [...new Map(states.map((state) => [state.address, state])).values()]
}

interface Wanted {
  readonly portName: string
  readonly family: Family
  /** publishNotReadyAddresses: what the pod says of itself does not matter. */
  readonly isAnyFit: boolean
}

function foundIn(parts: EndpointParts, slice: WorldSlice, { portName, family, isAnyFit }: Wanted): Found[] {
  const port = slice.ports.find(({ name }) => name === portName)?.port
  if (port === undefined) return []
  return slice.endpoints.flatMap((endpoint) => {
    const host = endpoint.addresses.map(canonicalHost).find((address) => isIPv6(address) === (family === 'ipv6'))
    // Of a pod that is gone, or not known yet, nobody can say who is at its address.
    const isKnown = endpoint.pod === null || parts.inventory.pod(endpoint.pod) !== undefined
    if (host === undefined || !isKnown) return []
    const who = podAt(parts.inventory, host, endpoint.pod)
    const podIsReady = who?.world.ready ?? true
    const podEnds = who?.world.terminating ?? false
    const isReady = endpoint.ready && (isAnyFit || (podIsReady && !podEnds))
    const isEnding = endpoint.serving && podIsReady && (endpoint.terminating || podEnds)
    return [{ ...endpoint, host, port, who, isReady, isEnding }]
  })
}

/** Who has the address decides, not who is said to: anybody may write an EndpointSlice. A pod of the node's network has no address of its own. */
function podAt(inventory: Inventory, host: string, said: string | null): Pod | undefined {
  const pod = inventory.podAt(host)
  if (pod !== undefined || said === null) return pod
  const named = inventory.pod(said)
  return named?.world.addresses.length === 0 ? named : undefined
}

function stateOf(parts: EndpointParts, { host, port, who }: Found): EndpointState {
  const address = formatAddress({ host, port })
  return {
    address,
    weight: 1,
    identity: who === undefined ? '' : identityOf(parts, who, port),
    pod: who?.world.name ?? '',
  }
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
  const { trustDomain } = parts.inventory.facts.options
  return formatSpiffeId({ trustDomain, namespace: world.namespace, serviceAccount: world.serviceAccount })
}
