// How a connection to an endpoint comes about: TCP and, to a sidecar, mutual TLS; or this very pod, in process.
import { type Duplex, duplexPair } from 'node:stream'
import { FlowError } from '#flow/error.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { Address } from '#shared/address.ts'
import type { Dialer } from './connect/dial.ts'
import type { MeshAlpn } from './secure/mesh-alpn.ts'
import type { Originator } from './secure/originate.ts'

export interface DiallingParts {
  readonly dial: Dialer
  readonly originate: Originator
  readonly isSelf: (address: Address) => boolean
  /** An endpoint that is this very pod is handed to the inbound path in process. */
  readonly handToSelf: (stream: Duplex, destination: Address, alpn: MeshAlpn) => void
}

export interface Connected {
  readonly stream: Duplex
  /** The one of those offered that the endpoint chose; null in clear. */
  readonly alpn: MeshAlpn | null
  /** End of the certificate that the endpoint has shown. */
  readonly expiresAt?: Date
}

export interface ConnectOptions {
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/** `offered`: for a sidecar, the preferred one first. One limit for the whole way: TCP and the handshake. */
export async function connectTo(
  parts: DiallingParts,
  endpoint: Endpoint,
  offered: readonly [MeshAlpn, ...MeshAlpn[]],
  options: ConnectOptions,
): Promise<Connected> {
  const { timeoutMs } = options
  if (parts.isSelf(endpoint.address)) return connectToSelf(parts, endpoint, offered[0])
  const limit = AbortSignal.timeout(timeoutMs)
  const signal = AbortSignal.any([options.signal, limit])
  try {
    const socket = await parts.dial(endpoint.address, signal, timeoutMs)
    socket.on('error', () => {})
    if (endpoint.identity === null) return { stream: socket, alpn: null }
    return await parts.originate(socket, endpoint.identity, offered, signal)
  } catch (error) {
    if (limit.aborted) throw new FlowError('CONNECT_TIMEOUT', { cause: error })
    throw error
  }
}

function connectToSelf(parts: DiallingParts, { address }: Endpoint, alpn: MeshAlpn): Connected {
  const [near, far] = duplexPair({ allowHalfOpen: true })
  for (const end of [near, far]) end.on('error', () => {})
  parts.handToSelf(far, address, alpn)
  return { stream: near, alpn }
}
