// Addresses and ports at which services are dialled. What a service claims from outside (the addresses of its load balancer, its
// externalIPs) leads to it from inside too, as with kube-proxy; but nobody can claim an address that the cluster has given to another.
import { canonicalHost, formatAddress } from '#shared/address.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { World, WorldService } from '#shared/standalone/world.ts'
import { compareText } from './status.ts'

export interface ServiceAtPort {
  readonly service: ServiceResource
  readonly port: ServicePort
}

export function virtualAddresses(
  world: World,
  services: ReadonlyMap<string, ServiceResource>,
): Map<string, ServiceAtPort> {
  const found = new Map<string, ServiceAtPort>()
  const add = (service: ServiceResource, addresses: readonly string[]) => {
    for (const port of service.spec.ports)
      for (const host of addresses) {
        const key = formatAddress({ host: canonicalHost(host), port: port.port })
        if (!found.has(key)) found.set(key, { service, port })
      }
  }
  const known = world.services.flatMap((entry) => {
    const service = services.get(`${entry.namespace}/${entry.name}`)
    return service === undefined ? [] : [{ entry, service }]
  })
  for (const { entry, service } of known) add(service, entry.addresses)
  const claiming = known
    .filter(({ entry }) => entry.externalAddresses !== undefined)
    .sort((a, b) => compareText(ageOf(a.service), ageOf(b.service)) || compareText(nameOf(a.entry), nameOf(b.entry)))
  if (claiming.length === 0) return found
  const given = new Set([...world.services, ...world.pods].flatMap(({ addresses }) => addresses.map(canonicalHost)))
  for (const { entry, service } of claiming) {
    const claimed = entry.externalAddresses ?? []
    add(
      service,
      claimed.filter((host) => !given.has(canonicalHost(host))),
    )
  }
  return found
}

const nameOf = ({ namespace, name }: WorldService) => `${namespace}/${name}`
/** Of two that claim the same the older has it. */
const ageOf = ({ metadata }: ServiceResource) => metadata.creationTimestamp ?? ''
