// An IP address with a port, and its one spelling: "10.0.0.1:80", "[fd00::1]:80". Discovery keys and logs use it.
import { isIP, isIPv6, SocketAddress } from 'node:net'

export interface Address {
  /** An IP literal in canonical form: lower case, IPv6 compressed, never an IPv4-mapped IPv6 address. */
  readonly host: string
  readonly port: number
}

/** Canonical text of an IP literal; throws a TypeError naming what was found. */
export function canonicalHost(host: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(host)
  if (mapped?.[1] !== undefined) return mapped[1]
  const version = isIP(host)
  if (version === 4) return host
  if (version === 6) return new SocketAddress({ address: host, family: 'ipv6' }).address
  throw new TypeError(`"${host}" is not an IP address`)
}

export function formatAddress(address: Address): string {
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`
}

/** The inverse of formatAddress; throws a TypeError naming what was found. */
export function parseAddress(text: string): Address {
  const match = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 1 && port <= 65535)) {
    throw new TypeError(`"${text}" is not an address such as 10.0.0.1:80 or [fd00::1]:80`)
  }
  return { host: canonicalHost(host), port }
}
