// The network of a mesh, made with `ip`: a namespace per pod, and one more that holds the bridge. The bridge is not in the
// host's namespace on purpose: there the host's filters (Docker's FORWARD DROP with bridge-nf-call-iptables) would see the
// traffic between pods. The host has one link, which holds the gateway addresses; it goes when its peer's namespace goes.
import { createHash } from 'node:crypto'
import { run } from './system.ts'

export interface Interface {
  readonly address: string
  readonly bits: number
}

export interface Network {
  /** Namespace with the bridge `weft0`; capture here to see all traffic between pods. */
  readonly namespace: string
  /** The host's end. */
  readonly link: string
}

const BRIDGE = 'weft0'
const UPLINK = 'host'

/** A dot cannot be in the name of a mesh, so one mesh's prefix is never another's. */
export function podNamespace(mesh: string, pod: string): string {
  return `weft-${mesh}.${pod}`
}

export function networkOf(mesh: string): Network {
  // Names of links have at most 15 characters.
  const hash = createHash('sha256').update(mesh).digest('hex').slice(0, 8)
  return { namespace: `weft-${mesh}`, link: `weft-${hash}` }
}

export function isNamespaceOf(mesh: string, namespace: string): boolean {
  return namespace === `weft-${mesh}` || namespace.startsWith(`weft-${mesh}.`)
}

/** Makes the bridge and the host's link with the gateway addresses. */
export async function createNetwork(network: Network, gateways: readonly Interface[]): Promise<void> {
  const { namespace, link } = network
  await run(['ip', 'netns', 'add', namespace])
  await setSysctls(namespace, { 'net/bridge/bridge-nf-call-iptables': 0, 'net/bridge/bridge-nf-call-ip6tables': 0 })
  await ip(namespace, [
    'link set lo up',
    `link add ${BRIDGE} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
    `link set ${BRIDGE} addrgenmode none up`,
  ])
  await ip(undefined, [`link add ${link} type veth peer name ${UPLINK} netns ${namespace}`])
  await ip(namespace, [`link set ${UPLINK} addrgenmode none master ${BRIDGE} up`])
  await ip(undefined, [...gateways.map((gateway) => addAddress(link, gateway)), `link set ${link} up`])
}

/** Makes a pod's namespace: lo and eth0 are up, its routes lead to the gateways. */
export async function createPodNamespace(
  network: Network,
  pod: { namespace: string; index: number; addresses: readonly Interface[]; gateways: readonly string[] },
): Promise<void> {
  const port = `pod${pod.index}`
  await run(['ip', 'netns', 'add', pod.namespace])
  await ip(network.namespace, [
    `link add ${port} type veth peer name eth0 netns ${pod.namespace}`,
    `link set ${port} addrgenmode none master ${BRIDGE} up`,
  ])
  await ip(pod.namespace, [
    'link set lo up',
    ...pod.addresses.map((address) => addAddress('eth0', address)),
    'link set eth0 up',
    ...pod.gateways.map((gateway) => `route add default via ${gateway} dev eth0`),
  ])
  // A segment out of the window would else pass by the address translation and be answered with a reset.
  await setSysctls(pod.namespace, { 'net/netfilter/nf_conntrack_tcp_be_liberal': 1 })
}

/** Names of all namespaces of `ip netns`. */
export async function listNamespaces(): Promise<string[]> {
  const lines = (await run(['ip', 'netns', 'list'])).split('\n')
  return lines.map((line) => line.split(' ')[0] ?? '').filter((name) => name !== '')
}

/** Process ids whose network namespace this is. */
export async function processesIn(namespace: string): Promise<number[]> {
  const lines = await run(['ip', 'netns', 'pids', namespace]).catch(() => '')
  return lines
    .split('\n')
    .filter((line) => line !== '')
    .map(Number)
}

/** Without processes in them the links go with their namespaces; the host's link is removed first, since that is at once. */
export async function deleteNetwork(network: Network, namespaces: readonly string[]): Promise<void> {
  await run(['ip', 'link', 'del', network.link]).catch(() => undefined)
  for (const namespace of namespaces) await run(['ip', 'netns', 'del', namespace])
}

function addAddress(link: string, { address, bits }: Interface): string {
  // nodad: else an IPv6 address cannot be used for a second or two.
  return `addr add ${address}/${bits} dev ${link}${address.includes(':') ? ' nodad' : ''}`
}

async function ip(namespace: string | undefined, lines: readonly string[]): Promise<void> {
  const where = namespace === undefined ? [] : ['-n', namespace]
  await run(['ip', ...where, '-batch', '-'], `${lines.join('\n')}\n`)
}

/** Sets what exists: a kernel without the module has neither the setting nor the trouble. */
async function setSysctls(namespace: string, settings: Readonly<Record<string, number>>): Promise<void> {
  const script = 'while [ $# -gt 1 ]; do [ ! -w "$1" ] || echo "$2" > "$1"; shift 2; done'
  const argv = Object.entries(settings).flatMap(([name, value]) => [`/proc/sys/${name}`, `${value}`])
  await run(['ip', 'netns', 'exec', namespace, 'sh', '-c', script, 'sh', ...argv])
}
