// Begins the mutual TLS of the mesh on a connection to an endpoint: shows our SVID, and goes on only if the endpoint proves the
// identity that discovery holds for it. TLS 1.3 ends the client's handshake before the server has judged our certificate: a refusal
// comes later, as a reset of the stream.
import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect, type TLSSocket } from 'node:tls'
import { FlowError } from '#flow/error.ts'
import type { IdentitySource } from '#flow/identity.ts'
import { type Clock, systemClock } from '#shared/clock.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { HandshakeError, handshakeOf } from './handshake.ts'
import { type MeshAlpn, meshAlpn } from './mesh-alpn.ts'
import { type Peer, peerOf } from './peer-id.ts'
import { type KeptSession, SessionCache } from './session-cache.ts'
import { clientContexts, type TlsContext } from './tls-context.ts'

export interface OriginatorOptions {
  readonly identity: IdentitySource
  readonly clock?: Clock
  /** For tests. */
  readonly sessions?: SessionCache
}

/**
 * The stream is connected. Rejects with a FlowError whose cause says more, and destroys the stream: PEER_IDENTITY (no TLS, no fit
 * certificate, another identity), CONNECT_FAILED (closed meanwhile, or we have no certificate), CONNECT_TIMEOUT (10 s).
 */
export type Originator = (
  stream: Duplex,
  expected: SpiffeId,
  offered: MeshAlpn | readonly MeshAlpn[],
  signal: AbortSignal,
) => Promise<Originated>

export interface Originated {
  readonly stream: TLSSocket
  /** The one of those offered that the endpoint chose. */
  readonly alpn: MeshAlpn
  /** End of the endpoint's certificate. */
  readonly expiresAt: Date
}

export function createOriginator(options: OriginatorOptions): Originator {
  const { identity, clock = systemClock, sessions = new SessionCache() } = options
  const contextNow = clientContexts(identity)
  // Our certificate and the roots are both part of what a session stands for: with either changed, start anew.
  identity.subscribe(() => sessions.clear())
  return async (stream, expected, offered, signal) => {
    const key = keyOf(stream, expected)
    try {
      const secure = contextNow()
      if (secure === undefined) throw new FlowError('CONNECT_FAILED', { cause: new Error('no certificate yet') })
      const kept = sessions.get(key, clock.wall())
      const secured = begin(stream, secure, { offered: [offered].flat(), session: kept?.session })
      const tickets = ticketsOf(secured)
      await handshakeOf(secured, { event: 'secureConnect', signal, clock })
      const peer = provenPeer(secured, kept, clock.wall())
      if (peer.id !== expected) throw new Error(`the endpoint is ${peer.id}, want ${expected}`)
      const alpn = meshAlpn(secured.alpnProtocol)
      tickets.take((session) => {
        // A ticket of a connection older than the last renewal would bring the old certificate back.
        if (contextNow() === secure) sessions.set(key, { session, peer })
      })
      return { stream: secured, alpn, expiresAt: peer.expiresAt }
    } catch (error) {
      sessions.delete(key)
      stream.destroy()
      throw faultOf(error)
    }
  }
}

function begin(
  stream: Duplex,
  secure: TlsContext,
  { offered, session }: { readonly offered: MeshAlpn[]; readonly session: Buffer | undefined },
) {
  return connect({
    socket: stream,
    secureContext: secure.context,
    ALPNProtocols: offered,
    ...(session === undefined ? {} : { session }),
    // No host names in the mesh. The identity is checked after the handshake, as Node skips this hook on a resumed session.
    checkServerIdentity: () => undefined,
  })
}

/** A ticket may come before we know whether its sender is the one that we wanted: the last one waits until somebody takes it. */
function ticketsOf(secured: TLSSocket): { take(keep: (session: Buffer) => void): void } {
  let waiting: Buffer | null = null
  let keep = (session: Buffer) => {
    waiting = session
  }
  secured.on('session', (session: Buffer) => keep(session))
  return {
    take(taker) {
      keep = taker
      if (waiting !== null) taker(waiting)
      waiting = null
    },
  }
}

/**
 * A resumed session has no certificate that Node would show to a client. Only who held the keys of the first handshake can resume
 * it, so the peer is the one that proved itself then.
 */
function provenPeer(secured: TLSSocket, kept: KeptSession | undefined, wallMs: number): Peer {
  if (!secured.isSessionReused()) return peerOf(secured, wallMs)
  if (kept === undefined) throw new Error('a session was resumed that we did not offer')
  return kept.peer
}

function keyOf(stream: Duplex, expected: SpiffeId): string {
  return stream instanceof Socket ? `${expected} ${stream.remoteAddress} ${stream.remotePort}` : expected
}

function faultOf(error: unknown): FlowError {
  if (error instanceof FlowError) return error
  if (!(error instanceof HandshakeError)) return new FlowError('PEER_IDENTITY', { cause: error })
  switch (error.failure) {
    case 'tls':
      return new FlowError('PEER_IDENTITY', { cause: error })
    case 'late':
      return new FlowError('CONNECT_TIMEOUT', { cause: error })
    case 'closed':
      return new FlowError('CONNECT_FAILED', { cause: error })
    case 'given-up':
      return error.cause instanceof FlowError ? error.cause : new FlowError('CONNECT_FAILED', { cause: error })
  }
}
