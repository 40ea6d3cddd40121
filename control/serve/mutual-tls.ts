// TLS 1.3 with client certificates in front of gRPC, by node:tls itself: grpc-js cannot change a certificate under way nor demand
// TLS 1.3. A new identity is shown to new connections; those that are open live on.
import { constants } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import type { Address } from '#shared/address.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { MESH_TLS } from '#shared/identity/tls-settings.ts'
import { limitSources } from '#shared/limit-sources.ts'
import type { Log } from '#shared/log.ts'
import { until, type Watch } from '#shared/watch.ts'

export interface MutualTlsOptions {
  readonly identity: Watch<SvidIdentity | undefined>
  readonly maxConnections: number
  readonly log: Log
  /** Called with a socket whose peer has proven a certificate under the roots of the identity. */
  onConnection(socket: TLSSocket): void
}

export interface MutualTlsListener {
  readonly address: Address
  /** Takes no more connections; those that are open live on. */
  close(): void
  /** Cuts what is still open, also connections that never became a stream. */
  destroy(): void
}

const HANDSHAKE_MS = 10_000
/** A pod needs two for a moment; one neighbour with half-open handshakes must not keep the others out. */
const MOST_CONNECTIONS_PER_SOURCE = 256

const contextOf = (identity: SvidIdentity) => ({
  ...MESH_TLS,
  key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
  cert: identity.chain,
  ca: identity.roots,
  // A resumed session is not held to the roots of today, and a stream that lives for hours gains nothing by one.
  secureOptions: constants.SSL_OP_NO_TICKET,
})

/** Listens when the first identity is there; rejects when the address cannot be had or the signal aborts first. */
export async function listenMutualTls(
  options: MutualTlsOptions,
  at: Address,
  signal: AbortSignal,
): Promise<MutualTlsListener> {
  const first = await until(options.identity, (identity) => identity !== undefined, signal)
  const server = createTlsServer(options, first)
  const sockets = trackSockets(server)
  const stop = options.identity.subscribe((next) => {
    if (next !== undefined) server.setSecureContext(contextOf(next))
  })
  const close = () => {
    stop()
    server.close()
  }
  server.listen(at.port, at.host)
  try {
    await once(server, 'listening', { signal })
  } catch (error) {
    close()
    throw error
  }
  server.on('error', (error) => options.log.error({ err: error }, 'discovery cannot take a connection'))
  const bound = server.address()
  const port = typeof bound === 'object' && bound !== null ? bound.port : at.port
  return {
    address: { host: at.host, port },
    close,
    destroy() {
      for (const socket of sockets) socket.destroy()
    },
  }
}

function createTlsServer({ log, maxConnections, onConnection }: MutualTlsOptions, identity: SvidIdentity): Server {
  const server = createServer({
    ...contextOf(identity),
    requestCert: true,
    rejectUnauthorized: true,
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_MS,
  })
  server.maxConnections = maxConnections
  limitSources(server, MOST_CONNECTIONS_PER_SOURCE)
  server.on('secureConnection', (socket) => {
    socket.on('error', (error) => log.debug({ err: error }, 'a connection of a sidecar broke'))
    if (socket.alpnProtocol === 'h2') onConnection(socket)
    else socket.destroy()
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Who only looks whether the port answers has asked for nothing.
    if (error.code === 'ECONNRESET') return
    log.info({ peer: socket.remoteAddress, reason: error.message }, 'refused a connection without a fit certificate')
  })
  return server
}

function trackSockets(server: Server): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  return sockets
}
