// Address ranges as people write them: "10.77.0.0/17", "fd77::/64".
import { BlockList, isIPv4, isIPv6 } from 'node:net'

export interface Cidr {
  readonly address: string
  readonly prefix: number
  readonly family: 'ipv4' | 'ipv6'
}

/** Undefined when it is none. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([0-9A-Fa-f:.]{2,45})\/(\d{1,3})$/.exec(text)
  const address = match?.[1] ?? ''
  const prefix = Number(match?.[2])
  if (isIPv4(address) && prefix <= 32) return { address, prefix, family: 'ipv4' }
  if (isIPv6(address) && prefix <= 128) return { address, prefix, family: 'ipv6' }
  return undefined
}

export function overlaps(a: Cidr, b: Cidr): boolean {
  if (a.family !== b.family) return false
  const [wide, narrow] = a.prefix <= b.prefix ? [a, b] : [b, a]
  const range = new BlockList()
  range.addSubnet(wide.address, wide.prefix, wide.family)
  return range.check(narrow.address, narrow.family)
}
