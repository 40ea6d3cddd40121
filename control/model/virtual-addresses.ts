// Addresses and ports at which services are dialled. What leads to a service from outside (the addresses of its load balancer, its
// externalIPs) leads to it from inside too, as with kube-proxy; but nobody can claim an address that the cluster has given to another,
// and what a service only claims (externalIPs) diverts no callers of other namespaces: 8.8.8.8 is anybody's to write there.
import { type Address, canonicalHost, formatAddress } from '#shared/address.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { World, WorldService } from '#shared/standalone/world.ts'
import { compareText } from './status.ts'

export interface ServiceAtPort {
  readonly service: ServiceResource
  readonly port: ServicePort
}

export interface VirtualAddresses {
  /** `key`: a formatted address and port. */
  at(key: string, callerNamespace: string): ServiceAtPort | undefined
}

export function virtualAddresses(world: World, services: ReadonlyMap<string, ServiceResource>): VirtualAddresses {
  const known = world.services.flatMap((entry) => {
    const service = services.get(nameOf(entry))
    return service === undefined ? [] : [{ entry, service }]
  })
  const found = new Map<string, ServiceAtPort>()
  const claimed = new Map<string, ServiceAtPort>()
  for (const { entry, service } of known) addTo(found, service, entry.addresses)
  const claiming = known
    .filter(({ entry }) => entry.externalAddresses !== undefined || entry.claimedAddresses !== undefined)
    .sort((a, b) => compareText(ageOf(a.service), ageOf(b.service)) || compareText(nameOf(a.entry), nameOf(b.entry)))
  if (claiming.length > 0) {
    const given = new Set([...world.services, ...world.pods].flatMap(({ addresses }) => addresses.map(canonicalHost)))
    const notGiven = (hosts: readonly string[] = []) => hosts.filter((host) => !given.has(canonicalHost(host)))
    for (const { entry, service } of claiming) {
      addTo(found, service, notGiven(entry.externalAddresses))
      addTo(claimed, service, notGiven(entry.claimedAddresses), `${entry.namespace} `)
    }
  }
  return { at: (key, callerNamespace) => found.get(key) ?? claimed.get(`${callerNamespace} ${key}`) }
}

/** Who is there first has it. */
function addTo(
  found: Map<string, ServiceAtPort>,
  service: ServiceResource,
  hosts: readonly string[],
  forWhom = '',
): void {
  for (const port of service.spec.ports)
    for (const host of hosts) {
      const key = forWhom + formatAddress({ host: canonicalHost(host), port: port.port })
      if (!found.has(key)) found.set(key, { service, port })
    }
}

/** Looked up by address and port apart: a thousand nodes times a thousand ports are not listed. */
export interface NodePorts {
  /** undefined: no node has this address, or no service this port. */
  at(address: Address): ServiceAtPort | undefined
}

export function nodePortsOf(world: World, services: ReadonlyMap<string, ServiceResource>): NodePorts {
  const byPort = new Map<number, ServiceAtPort>()
  for (const entry of world.services) {
    const service = services.get(nameOf(entry))
    for (const [nodePort, number] of entry.nodePorts ?? []) {
      const port = service?.spec.ports.find((one) => one.port === number)
      if (service !== undefined && port !== undefined) byPort.set(nodePort, { service, port })
    }
  }
  const addresses = byPort.size === 0 ? [] : [...(world.nodes?.values() ?? [])].flatMap((node) => node.addresses)
  const hosts = new Set(addresses.map(canonicalHost))
  return { at: ({ host, port }) => (hosts.has(host) ? byPort.get(port) : undefined) }
}

const nameOf = ({ namespace, name }: WorldService) => `${namespace}/${name}`
/** Of two that claim the same the older has it. */
const ageOf = ({ metadata }: ServiceResource) => metadata.creationTimestamp ?? ''
