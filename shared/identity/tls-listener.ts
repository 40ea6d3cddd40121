// TLS of the mesh in front of gRPC, by node:tls itself: grpc-js neither swaps its certificate as it is renewed, nor demands TLS 1.3,
// nor tells who failed to connect. A new identity is shown to new connections; those that are open live on.
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { limitSources } from '#shared/limit-sources.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { SvidIdentity } from './svid.ts'
import { MESH_TLS } from './tls-settings.ts'

export interface TlsListenerOptions {
  /** What is shown until the Watch brings another one. */
  readonly first: SvidIdentity
  readonly identity: Watch<SvidIdentity | undefined>
  /** Whether a peer must prove a certificate under the roots of the identity. */
  readonly isMutual: boolean
  readonly mostPerSource: number
  readonly log: Log
  /** Called with a socket that is secured and speaks HTTP/2. */
  onSecured(socket: TLSSocket): void
}

export interface TlsListener {
  /** Not listening yet. */
  readonly server: Server
  /** What is open, also what never became secured. */
  readonly sockets: ReadonlySet<Socket>
  /** Takes no more connections and swaps no more certificates; connections that are open live on. */
  close(): void
}

const HANDSHAKE_MS = 10_000

export function createTlsListener(options: TlsListenerOptions): TlsListener {
  const { first, identity, isMutual } = options
  const server = createServer({
    ...contextOf(first),
    requestCert: isMutual,
    rejectUnauthorized: isMutual,
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS,
    noDelay: true,
  })
  const sockets = trackSockets(server)
  hearOf(server, options)
  const stop = identity.subscribe((next) => {
    if (next !== undefined) server.setSecureContext(contextOf(next))
  })
  return {
    server,
    sockets,
    close() {
      stop()
      server.close()
    },
  }
}

const contextOf = ({ chain, key, roots }: SvidIdentity) => ({
  ...MESH_TLS,
  cert: chain,
  key: key.export({ type: 'pkcs8', format: 'pem' }),
  ca: roots,
  // A resumed session is not held to the roots of today, and whoever calls every few hours or for hours gains nothing by one.
  secureOptions: constants.SSL_OP_NO_TICKET,
})

function hearOf(server: Server, { log, mostPerSource, onSecured }: TlsListenerOptions): void {
  const refuse = (socket: Socket, reason: string) => {
    log.warn({ source: socket.remoteAddress ?? 'unknown', reason }, 'refused a connection')
    socket.destroy()
  }
  limitSources(server, mostPerSource, (source) =>
    log.warn({ source, reason: 'too many connections' }, 'refused a connection'),
  )
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Who only looks whether the port answers has asked for nothing.
    if (error.code !== 'ECONNRESET') refuse(socket, error.message)
  })
  server.on('secureConnection', (socket) => {
    socket.on('error', (error) => log.debug({ err: error }, 'a connection broke'))
    if (socket.alpnProtocol === 'h2') onSecured(socket)
    else refuse(socket, 'no HTTP/2 (ALPN)')
  })
}

function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}
