// Address arithmetic for a mesh: ranges of both families, the n-th address of a range, and the choice of ranges that
// collide with nothing the machine can reach already.
import { isIP } from 'node:net'
import { canonicalHost } from '#shared/address.ts'
import { Failure } from '../failure.ts'

export interface Range {
  readonly family: 4 | 6
  /** The lowest address as a number. */
  readonly base: bigint
  readonly bits: number
  readonly text: string
}

/** Something that already owns addresses, named so that a person finds it. */
export interface Taken {
  readonly range: Range
  readonly by: string
}

/** What a mesh lives in: one range per family in each list, the same families in both. */
export interface Ranges {
  readonly pods: readonly Range[]
  readonly services: readonly Range[]
}

export interface WantedRanges {
  readonly podCIDRs: readonly string[]
  readonly serviceCIDRs: readonly string[]
}

/** How many meshes may choose for themselves on one machine. */
const CANDIDATES = 100

/** Throws a TypeError naming what was found. Bits below the prefix are cleared. */
export function parseRange(text: string): Range {
  const [address = '', prefix = ''] = text.split('/')
  const family = isIP(address)
  const width = family === 4 ? 32 : 128
  const bits = Number(prefix)
  if ((family !== 4 && family !== 6) || !/^\d{1,3}$/.test(prefix) || bits > width) {
    throw new TypeError(`"${text}" is not a range of addresses such as 10.77.0.0/16 or fd77::/64`)
  }
  const hostBits = BigInt(width - bits)
  const base = (toNumber(address, family) >> hostBits) << hostBits
  return { family, base, bits, text: `${toText(base, family)}/${bits}` }
}

/** The address `index` above the lowest; throws a RangeError when the range is too small. */
export function addressAt(range: Range, index: number): string {
  const size = 1n << BigInt((range.family === 4 ? 32 : 128) - range.bits)
  // The highest address of an IPv4 range is its broadcast address.
  const usable = range.family === 4 ? size - 1n : size
  if (BigInt(index) >= usable) throw new RangeError(`${range.text} has no room for address number ${index}`)
  return toText(range.base + BigInt(index), range.family)
}

export function overlaps(one: Range, other: Range): boolean {
  if (one.family !== other.family) return false
  const width = one.family === 4 ? 32 : 128
  const shift = BigInt(width - Math.min(one.bits, other.bits))
  return one.base >> shift === other.base >> shift
}

/**
 * The ranges that the Mesh asks for, or the first free ones of 10.77.0.0/16, 10.78.0.0/16, ...
 * Throws a Failure that names both sides of a conflict.
 */
export function chooseRanges(wanted: WantedRanges, taken: readonly Taken[]): Ranges {
  if (wanted.podCIDRs.length > 0 || wanted.serviceCIDRs.length > 0) return checkWanted(wanted, taken)
  for (let index = 0; index < CANDIDATES; index++) {
    const candidate = candidateRanges(index)
    if (conflictOf(candidate, taken) === undefined) return candidate
  }
  throw new Failure(
    `no free addresses: each of 10.77.0.0/16 to 10.${76 + CANDIDATES}.0.0/16 is in use on this machine`,
    'Say which ranges are free: Mesh, spec.podCIDRs and spec.serviceCIDRs.',
  )
}

function candidateRanges(index: number): Ranges {
  const second = 77 + index
  const site = (0x100 + index).toString(16)
  return {
    pods: [parseRange(`10.${second}.0.0/17`), parseRange(`fd77:7765:6674:${site}::/64`)],
    services: [parseRange(`10.${second}.128.0/17`), parseRange(`fd77:7765:6674:1${site}::/112`)],
  }
}

function checkWanted(wanted: WantedRanges, taken: readonly Taken[]): Ranges {
  const ranges = { pods: wanted.podCIDRs.map(parseRange), services: wanted.serviceCIDRs.map(parseRange) }
  const families = (list: readonly Range[]) => list.map((range) => range.family).join(' and ')
  const isOnePerFamily = (list: readonly Range[]) => new Set(list.map((range) => range.family)).size === list.length
  if (!isOnePerFamily(ranges.pods) || !isOnePerFamily(ranges.services) || !sameFamilies(ranges)) {
    throw new Failure(
      `Mesh ranges do not match: podCIDRs are of family ${families(ranges.pods) || 'none'}, serviceCIDRs of family ${families(ranges.services) || 'none'}`,
      'Give one IPv4 and one IPv6 range in both spec.podCIDRs and spec.serviceCIDRs, or neither list.',
    )
  }
  for (const [index, pods] of ranges.pods.entries()) {
    for (const services of ranges.services.slice(0, index + 1)) {
      if (overlaps(pods, services)) throw conflict(pods, { range: services, by: 'spec.serviceCIDRs of the same Mesh' })
    }
  }
  const found = conflictOf(ranges, taken)
  if (found !== undefined) throw conflict(found.range, found.taken)
  return ranges
}

function sameFamilies(ranges: Ranges): boolean {
  const key = (list: readonly Range[]) =>
    list
      .map((range) => range.family)
      .toSorted()
      .join()
  return key(ranges.pods) === key(ranges.services)
}

function conflictOf(ranges: Ranges, taken: readonly Taken[]): { range: Range; taken: Taken } | undefined {
  for (const range of [...ranges.pods, ...ranges.services]) {
    const hit = taken.find((item) => overlaps(item.range, range))
    if (hit !== undefined) return { range, taken: hit }
  }
  return undefined
}

function conflict(range: Range, taken: Taken): Failure {
  return new Failure(
    `address range in conflict: ${range.text} of the Mesh meets ${taken.range.text} of ${taken.by}`,
    'Choose other ranges in the Mesh (spec.podCIDRs, spec.serviceCIDRs), or leave both out: free ones are found then.',
  )
}

function toNumber(address: string, family: 4 | 6): bigint {
  if (family === 4) return address.split('.').reduce((sum, part) => (sum << 8n) + BigInt(part), 0n)
  return expandIPv6(address).reduce((sum, group) => (sum << 16n) + BigInt(`0x${group}`), 0n)
}

function expandIPv6(address: string): string[] {
  const [left = '', right] = canonicalHost(address).split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  if (right === undefined) return groups(left)
  const zeros = 8 - groups(left).length - groups(right).length
  return [...groups(left), ...Array.from({ length: zeros }, () => '0'), ...groups(right)]
}

function toText(value: bigint, family: 4 | 6): string {
  const step = family === 4 ? 8n : 16n
  const count = family === 4 ? 4 : 8
  const parts = Array.from(
    { length: count },
    (_, index) => (value >> (step * BigInt(count - 1 - index))) & ((1n << step) - 1n),
  )
  return family === 4 ? parts.join('.') : canonicalHost(parts.map((part) => part.toString(16)).join(':'))
}
