// Ends the mutual TLS of the mesh on an accepted connection whose first bytes were already read to see what it is.
// The socket is wrapped rather than given to a tls.Server, which keeps its native handle and costs nothing.
import type { Socket } from 'node:net'
import { TLSSocket } from 'node:tls'
import { FlowError } from '#flow/error.ts'
import type { IdentitySource } from '#flow/identity.ts'
import { type Clock, systemClock } from '#shared/clock.ts'
import { type SpiffeId, spiffeIdParts } from '#shared/identity/spiffe-id.ts'
import { handshakeOf } from './handshake.ts'
import { MESH_ALPNS, type MeshAlpn, meshAlpn } from './mesh-alpn.ts'
import { type Peer, peerOf } from './peer-id.ts'
import { serverContexts, type TlsContext } from './tls-context.ts'

export interface TerminatorOptions {
  readonly identity: IdentitySource
  /** Callers of any other are refused. */
  readonly trustDomain: string
  readonly clock?: Clock
}

export interface Terminated {
  readonly stream: TLSSocket
  readonly peer: SpiffeId
  readonly alpn: MeshAlpn
  /** End of the caller's certificate. */
  readonly expiresAt: Date
}

/**
 * `offered`: what the caller may choose from, the preferred one first; default: all. Rejects with a FlowError (CALLER_IDENTITY), the
 * reason as its cause; the socket is destroyed then.
 */
export type Terminator = (
  socket: Socket,
  head: Buffer,
  signal: AbortSignal,
  offered?: readonly MeshAlpn[],
) => Promise<Terminated>

export function createTerminator({ identity, trustDomain, clock = systemClock }: TerminatorOptions): Terminator {
  const contextNow = serverContexts(identity)
  return async (socket, head, signal, offered = MESH_ALPNS) => {
    try {
      const stream = wrap(socket, head, contextNow(), offered)
      await handshakeOf(stream, { event: 'secure', signal, clock })
      takeOver(stream)
      const peer = requireTrustDomain(peerOf(stream, clock.wall()), trustDomain)
      return { stream, peer: peer.id, alpn: meshAlpn(stream.alpnProtocol), expiresAt: peer.expiresAt }
    } catch (error) {
      socket.destroy()
      throw new FlowError('CALLER_IDENTITY', { cause: error })
    }
  }
}

function wrap(socket: Socket, head: Buffer, secure: TlsContext | undefined, offered: readonly MeshAlpn[]): TLSSocket {
  if (secure === undefined) throw new Error('this sidecar has no certificate yet')
  if (head.length > 0) socket.unshift(head)
  return new TLSSocket(socket, {
    isServer: true,
    secureContext: secure.context,
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: [...offered],
  })
}

/** What tls.Server does inside Node when a handshake is done: a wrapped socket has to be asked for it. */
interface Internals {
  readonly ssl: { verifyError(): Error | null | undefined }
  /** From here on errors reach the listeners of the socket; without it they are swallowed. */
  _releaseControl(): boolean
}

function takeOver(stream: TLSSocket): void {
  const internals = stream as unknown as Internals
  // Should a later Node rename these, the call throws and nobody is let in.
  const fault = internals.ssl.verifyError()
  if (fault !== null && fault !== undefined) throw fault
  internals._releaseControl()
}

function requireTrustDomain(peer: Peer, trustDomain: string): Peer {
  if (spiffeIdParts(peer.id).trustDomain === trustDomain) return peer
  throw new Error(`${peer.id} is not of the trust domain ${trustDomain}`)
}
