// Where a redirected connection was going: getsockopt(SO_ORIGINAL_DST), for which Node has no call.
// Source: linux/netfilter_ipv4.h and netfilter_ipv6/ip6_tables.h; both options have the number 80.
import type { Socket } from 'node:net'
import koffi from 'koffi'
import type { Accepted, Addressed } from '#flow/connection.ts'
import { FlowError } from '#flow/error.ts'
import type { Layer } from '#flow/layer.ts'
import { type Address, canonicalHost } from '#shared/address.ts'

const SOL_IP = 0
const SOL_IPV6 = 41
const SO_ORIGINAL_DST = 80
const SOCKADDR_IN_BYTES = 16
const SOCKADDR_IN6_BYTES = 28

/** undefined: the connection was not redirected. */
export type OriginalDestination = (socket: Socket) => Address | undefined

/** Loads libc once; call it before privileges are dropped, as it opens a file. */
export function loadOriginalDestination(): OriginalDestination {
  const libc = koffi.load('libc.so.6')
  const getsockopt = libc.func('int getsockopt(int fd, int level, int name, void *value, void *length)')
  return (socket) => {
    const fd = (socket as unknown as { readonly _handle: { readonly fd: number } | null })._handle?.fd
    if (fd === undefined || fd < 0) return undefined
    const isV6 = socket.localFamily === 'IPv6'
    const value = Buffer.alloc(SOCKADDR_IN6_BYTES)
    const length = Buffer.alloc(4)
    length.writeUInt32LE(isV6 ? SOCKADDR_IN6_BYTES : SOCKADDR_IN_BYTES)
    if (getsockopt(fd, isV6 ? SOL_IPV6 : SOL_IP, SO_ORIGINAL_DST, value, length) !== 0) return undefined
    return isV6 ? readV6(value) : readV4(value)
  }
}

/** struct sockaddr_in: family, port (network order), address. */
function readV4(value: Buffer): Address {
  return { host: value.subarray(4, 8).join('.'), port: value.readUInt16BE(2) }
}

/** struct sockaddr_in6: family, port (network order), flow info, address. */
function readV6(value: Buffer): Address {
  const groups = Array.from({ length: 8 }, (_, i) => value.readUInt16BE(8 + 2 * i).toString(16))
  return { host: canonicalHost(groups.join(':')), port: value.readUInt16BE(2) }
}

/** Adds the destination; a connection that came straight to our port is refused, as relaying it would loop. */
export function recoverDestination<Out>(
  originalDestination: OriginalDestination,
  ownPorts: readonly number[],
): Layer<Accepted, Addressed, Out> {
  return (next) => (accepted) => {
    const destination = originalDestination(accepted.socket)
    if (destination === undefined || isOwn(accepted.socket, destination, ownPorts)) {
      return Promise.reject(new FlowError('NOT_REDIRECTED'))
    }
    return next({ ...accepted, destination })
  }
}

/**
 * Refuses what was sent to this pod by its link but not to an address of it: iptables redirects that too, and a neighbour could
 * so use the sidecar, which iptables leaves alone, as its way to the pod's loopback or to anywhere.
 */
export function requireOwnAddress<Out>(podAddresses: readonly string[]): Layer<Addressed, Addressed, Out> {
  const own = new Set(podAddresses.map(canonicalHost))
  return (next) => (input) => {
    const { host } = input.destination
    if (own.has(host) || host === hostOf(input.socket.localAddress)) return next(input)
    return Promise.reject(new FlowError('NOT_THIS_POD'))
  }
}

function isOwn(socket: Socket, destination: Address, ownPorts: readonly number[]): boolean {
  return ownPorts.includes(destination.port) && destination.host === hostOf(socket.localAddress)
}

function hostOf(host: string | undefined): string {
  return host === undefined ? '' : canonicalHost(host)
}
