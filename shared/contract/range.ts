// CIDR ranges: what control says "not ours" of, and how a sidecar tells that an address lies within.
import { isIPv4, isIPv6 } from 'node:net'
import { canonicalHost } from '#shared/address.ts'

export interface Range {
  /** "10.96.0.0/12", its host bits zero. */
  readonly text: string
  contains(host: string): boolean
}

interface Block {
  readonly bytes: Uint8Array
  readonly prefix: number
}

/** 4 or 16 bytes; throws a TypeError naming what was found. */
function hostBytes(host: string): Uint8Array {
  const canonical = canonicalHost(host)
  if (isIPv4(canonical)) return Uint8Array.from(canonical.split('.'), Number)
  const [left = '', right] = canonical.split('::')
  const head = left === '' ? [] : left.split(':')
  const tail = right === undefined || right === '' ? [] : right.split(':')
  const groups = [...head, ...Array<string>(8 - head.length - tail.length).fill('0'), ...tail]
  return Uint8Array.from(groups.flatMap((group) => [Number.parseInt(group, 16) >> 8, Number.parseInt(group, 16) & 255]))
}

function hostText(bytes: Uint8Array): string {
  if (bytes.length === 4) return bytes.join('.')
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  )
  return canonicalHost(groups.join(':'))
}

function agree(one: Uint8Array, other: Uint8Array, bits: number): boolean {
  const whole = bits >> 3
  for (let at = 0; at < whole; at++) if (one[at] !== other[at]) return false
  const mask = (0xff00 >> (bits & 7)) & 0xff
  return ((one[whole] ?? 0) & mask) === ((other[whole] ?? 0) & mask)
}

function masked(bytes: Uint8Array, prefix: number): Uint8Array {
  return bytes.map((byte, at) => byte & ((0xff00 >> Math.min(8, Math.max(0, prefix - at * 8))) & 0xff))
}

function parseBlock(cidr: string): Block {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(cidr)
  const prefix = Number(match?.[2])
  const host = match?.[1] ?? ''
  if (!(isIPv4(host) && prefix <= 32) && !(isIPv6(host) && prefix <= 128)) {
    throw new TypeError(`"${cidr}" is not a range such as 10.96.0.0/12 or fd00::/64`)
  }
  return { bytes: masked(hostBytes(host), prefix), prefix }
}

/** Throws a TypeError naming what was found. */
export function parseRange(cidr: string): Range {
  const block = parseBlock(cidr)
  return {
    text: `${hostText(block.bytes)}/${block.prefix}`,
    contains(host) {
      const bytes = hostBytes(host)
      return bytes.length === block.bytes.length && agree(bytes, block.bytes, block.prefix)
    },
  }
}

/** Bits in which both begin alike. */
function countShared(one: Uint8Array, other: Uint8Array): number {
  for (let at = 0; at < one.length; at++) {
    const difference = (one[at] ?? 0) ^ (other[at] ?? 0)
    if (difference !== 0) return at * 8 + Math.clz32(difference) - 24
  }
  return one.length * 8
}

/** The ranges of a mesh are asked about for each address outside it, and each load balancer adds one. */
const parsed = new WeakMap<readonly string[], readonly Block[]>()

function blocksOf(ranges: readonly string[]): readonly Block[] {
  const known = parsed.get(ranges) ?? ranges.map(parseBlock)
  parsed.set(ranges, known)
  return known
}

/** The widest range around `host` that touches none of `ranges`; null when one of them contains it. The list must not change. */
export function widestRangeOutside(host: string, ranges: readonly string[]): string | null {
  const bytes = hostBytes(host)
  let prefix = 0
  for (const block of blocksOf(ranges)) {
    if (block.bytes.length !== bytes.length) continue
    const shared = countShared(bytes, block.bytes)
    if (shared >= block.prefix) return null
    // A block that does not hold the host leaves it at some bit: up to and with that bit the range must be given.
    prefix = Math.max(prefix, shared + 1)
  }
  return `${hostText(masked(bytes, prefix))}/${prefix}`
}
