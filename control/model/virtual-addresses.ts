// Addresses and ports at which services are dialled. What leads to a service from outside (the addresses of its load balancer, its
// externalIPs) leads to it from inside too, as with kube-proxy; but nobody can claim an address that the cluster has given to another,
// and what a service only claims (externalIPs) diverts no callers of other namespaces: 8.8.8.8 is anybody's to write there.
import type { Address } from '#shared/address.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { Facts } from './facts.ts'
import { compareText } from './status.ts'

export interface ServiceAtPort {
  readonly service: ServiceResource
  readonly port: ServicePort
}

export interface VirtualAddresses {
  at(address: Address, callerNamespace: string): ServiceAtPort | undefined
  /** undefined: no node has this address, or no service this port. */
  atNode(address: Address): ServiceAtPort | undefined
}

export function createVirtualAddresses(
  { services, pods, nodes }: Facts,
  find: (name: string) => ServiceResource | undefined,
): VirtualAddresses {
  const firstAt = (names: ReadonlySet<string>, port: number): ServiceAtPort | undefined => {
    for (const service of bySeniority([...names].flatMap((name) => find(name) ?? []))) {
      const found = service.spec.ports.find((one) => one.port === port)
      if (found !== undefined) return { service, port: found }
    }
    return undefined
  }
  const isGiven = (host: string) => services.by('host', host).size > 0 || pods.by('host', host).size > 0
  return {
    at({ host, port }, callerNamespace) {
      const own = firstAt(services.by('host', host), port)
      if (own !== undefined || isGiven(host)) return own
      return (
        firstAt(services.by('external', host), port) ??
        firstAt(services.by('claimed', `${callerNamespace} ${host}`), port)
      )
    },
    atNode({ host, port }) {
      if (nodes.by('host', host).size === 0) return undefined
      const [service] = bySeniority([...services.by('nodePort', `${port}`)].flatMap((name) => find(name) ?? []))
      if (service === undefined) return undefined
      const { namespace, name } = service.metadata
      const number = services.get(`${namespace}/${name}`)?.nodePorts?.find(([nodePort]) => nodePort === port)?.[1]
      const found = service.spec.ports.find((one) => one.port === number)
      return found && { service, port: found }
    },
  }
}

/** Of two that claim the same the older has it. */
function bySeniority(services: readonly ServiceResource[]): readonly ServiceResource[] {
  const ageOf = ({ metadata }: ServiceResource) => metadata.creationTimestamp ?? ''
  const nameOf = ({ metadata }: ServiceResource) => `${metadata.namespace}/${metadata.name}`
  return services.toSorted((a, b) => compareText(ageOf(a), ageOf(b)) || compareText(nameOf(a), nameOf(b)))
}
