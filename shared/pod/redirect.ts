// The iptables program of a pod, as text for `iptables-restore --noflush` and its IPv6 twin: all TCP of a network
// namespace goes through the sidecar. The same text serves `weft up` and the init container. Explained in docs/redirection.md.
import { isIP } from 'node:net'

export type PortRange = number | readonly [first: number, last: number]

export interface RedirectOptions {
  readonly outboundPort?: number
  readonly inboundPort?: number
  /** User and group of the sidecar, whose own traffic is left alone. */
  readonly proxyId?: number
  readonly skipInboundPorts?: readonly PortRange[]
  readonly skipOutboundPorts?: readonly PortRange[]
  /** Of either family; each lands in its family's program. */
  readonly skipOutboundCIDRs?: readonly string[]
  readonly skipOutboundUids?: readonly number[]
}

/** One program per address family. */
export interface Programs {
  readonly v4: string
  readonly v6: string
}

/** How often each built-in chain jumps to ours already: more than once after two runs at the same time. */
export interface Hooks {
  readonly output: number
  readonly prerouting: number
}

export interface HooksOfFamilies {
  readonly v4: Hooks
  readonly v6: Hooks
}

const NO_HOOKS: Hooks = { output: 0, prerouting: 0 }
export const UNTOUCHED: HooksOfFamilies = { v4: NO_HOOKS, v6: NO_HOOKS }

const OUTPUT_JUMP = 'OUTPUT -p tcp -j WEFT_OUTBOUND'
const PREROUTING_JUMP = 'PREROUTING -p tcp -j WEFT_INBOUND'
/** Metrics and health are the sidecar's own, asked by those who have no identity. */
const OWN_PORTS: readonly PortRange[] = [15020, 15021]
/** xt_multiport holds 15 numbers; a range takes two. */
const MULTIPORT_LIMIT = 15

/**
 * Ends in the same rules whatever of ours was there: our chains are flushed and filled, and each hook is there once.
 * iptables-restore has no "unless it is there" for a rule of a built-in chain, so the caller says what it found.
 * Throws a TypeError for an option that is no port, uid or CIDR: the text runs as root.
 */
export function redirectProgram(options: RedirectOptions = {}, found: HooksOfFamilies = UNTOUCHED): Programs {
  return { v4: program(options, found.v4, 4), v6: program(options, found.v6, 6) }
}

/** Takes out exactly what redirectProgram puts in; harmless where nothing is. */
export function removalProgram(found: HooksOfFamilies): Programs {
  const remove = (hooks: Hooks) =>
    table([...unhook(hooks), ':WEFT_OUTBOUND - [0:0]', ':WEFT_INBOUND - [0:0]', '-X WEFT_OUTBOUND', '-X WEFT_INBOUND'])
  return { v4: remove(found.v4), v6: remove(found.v6) }
}

/** Reads the output of `iptables-save -t nat`. */
export function findHooks(saved: string): Hooks {
  const lines = saved.split('\n').map((line) => line.trim())
  const occurrences = (jump: string) => lines.filter((line) => line === `-A ${jump}`).length
  return { output: occurrences(OUTPUT_JUMP), prerouting: occurrences(PREROUTING_JUMP) }
}

function program(options: RedirectOptions, hooks: Hooks, family: 4 | 6): string {
  return table([
    // Under --noflush a chain that is named here is made, or emptied if it is there; all others stay.
    ':WEFT_OUTBOUND - [0:0]',
    ':WEFT_INBOUND - [0:0]',
    ...unhook(hooks),
    ...outboundRules(options, family).map((rule) => `-A WEFT_OUTBOUND ${rule}`),
    ...inboundRules(options).map((rule) => `-A WEFT_INBOUND ${rule}`),
    `-A ${OUTPUT_JUMP}`,
    `-A ${PREROUTING_JUMP}`,
  ])
}

function outboundRules(options: RedirectOptions, family: 4 | 6): string[] {
  const proxyId = checkId(options.proxyId ?? 1337)
  const cidrs = (options.skipOutboundCIDRs ?? []).filter((cidr) => familyOf(cidr) === family)
  return [
    `-m owner --uid-owner ${proxyId} -j RETURN`,
    `-m owner --gid-owner ${proxyId} -j RETURN`,
    // 127.0.0.1, ::1 and the pod's own address leave by lo; a service's virtual address does not, also if it leads back here.
    '-o lo -j RETURN',
    ...(options.skipOutboundUids ?? []).map((uid) => `-m owner --uid-owner ${checkId(uid)} -j RETURN`),
    ...cidrs.map((cidr) => `-d ${cidr} -j RETURN`),
    ...skipPorts(options.skipOutboundPorts ?? []),
    `-p tcp -j REDIRECT --to-ports ${checkPort(options.outboundPort ?? 15001)}`,
  ]
}

function inboundRules(options: RedirectOptions): string[] {
  return [
    ...skipPorts([...OWN_PORTS, ...(options.skipInboundPorts ?? [])]),
    `-p tcp -j REDIRECT --to-ports ${checkPort(options.inboundPort ?? 15006)}`,
  ]
}

function unhook(hooks: Hooks): string[] {
  return [
    ...Array.from({ length: hooks.output }, () => `-D ${OUTPUT_JUMP}`),
    ...Array.from({ length: hooks.prerouting }, () => `-D ${PREROUTING_JUMP}`),
  ]
}

function skipPorts(ports: readonly PortRange[]): string[] {
  const groups: string[][] = []
  let room = 0
  for (const port of ports) {
    const size = typeof port === 'number' ? 1 : 2
    if (size > room) {
      groups.push([])
      room = MULTIPORT_LIMIT
    }
    groups.at(-1)?.push(formatPorts(port))
    room -= size
  }
  return groups.map((group) => `-p tcp -m multiport --dports ${group.join(',')} -j RETURN`)
}

function formatPorts(port: PortRange): string {
  if (typeof port === 'number') return `${checkPort(port)}`
  const [first, last] = port
  if (first > last) throw new TypeError(`ports ${first}-${last}: the first is higher than the last`)
  return `${checkPort(first)}:${checkPort(last)}`
}

function table(lines: readonly string[]): string {
  return `*nat\n${lines.join('\n')}\nCOMMIT\n`
}

function familyOf(cidr: string): 4 | 6 {
  const [address = '', bits = '', ...rest] = cidr.split('/')
  const family = isIP(address)
  const isRange = /^\d{1,3}$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128)
  // A zone ("fe80::1%eth0") counts as an IP address for Node, not for iptables.
  if ((family !== 4 && family !== 6) || !isRange || rest.length > 0 || address.includes('%')) {
    throw new TypeError(`"${cidr}" is not a range of addresses such as 10.0.0.0/8 or fd00::/8`)
  }
  return family
}

function checkPort(port: number): number {
  if (!Number.isInteger(port) || port < 1 || port > 65535) throw new TypeError(`${port} is not a port, 1 to 65535`)
  return port
}

function checkId(id: number): number {
  // The highest value means "none" to the kernel.
  if (!Number.isInteger(id) || id < 0 || id >= 2 ** 32 - 1) throw new TypeError(`${id} is not a user or group id`)
  return id
}
