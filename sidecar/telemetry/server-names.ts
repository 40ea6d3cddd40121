// What stands for the called server in a label: a bounded set, since an application may dial any address of the world.
import type { Address } from '#shared/address.ts'

export interface ServerNames {
  /** The same objects for the same server. The Host header plays no part: it is what a client makes up. */
  of(service: string | null, destination: Address): ServerName
}

export interface ServerName {
  /** "catalog.shop" for a service, an IP address for what is no service, "_OTHER" beyond the limit. */
  readonly address: string
  /** null for "_OTHER". */
  readonly port: number | null
}

const OTHER: ServerName = { address: '_OTHER', port: null }

export function createServerNames(maxAddresses = 100): ServerNames {
  const services = new Map<string, Map<number, ServerName>>()
  const addresses = new Map<string, Map<number, ServerName>>()
  let addressCount = 0

  function ofAddress(destination: Address): ServerName {
    const known = addresses.get(destination.host)?.get(destination.port)
    if (known !== undefined) return known
    if (addressCount >= maxAddresses) return OTHER
    addressCount++
    return remember(addresses, destination.host, { address: destination.host, port: destination.port })
  }

  return {
    of(service, destination) {
      if (service === null) return ofAddress(destination)
      const known = services.get(service)?.get(destination.port)
      if (known !== undefined) return known
      return remember(services, service, { address: serviceHost(service), port: destination.port })
    },
  }
}

/** "shop/catalog" to "catalog.shop", as it is called in DNS. */
function serviceHost(service: string): string {
  const slash = service.indexOf('/')
  return slash < 0 ? service : `${service.slice(slash + 1)}.${service.slice(0, slash)}`
}

function remember(names: Map<string, Map<number, ServerName>>, key: string, name: ServerName): ServerName {
  const ports = names.get(key) ?? new Map<number, ServerName>()
  names.set(key, ports)
  if (name.port !== null) ports.set(name.port, name)
  return name
}
