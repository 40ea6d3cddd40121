// A gRPC server inside the mesh on our own TLS listeners: grpc-js alone neither swaps its certificate as it is renewed nor
// tells who failed to connect. Each secured socket is handed to grpc-js, which speaks HTTP/2 inside it.
import { constants } from 'node:crypto'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { type Server as GrpcServer, ServerCredentials, type ServerSurfaceCall } from '@grpc/grpc-js'
import { type Address, canonicalHost } from '#shared/address.ts'
import type { Watch } from '#shared/watch.ts'
import { type SpiffeId, spiffeIdParts } from './spiffe-id.ts'
import type { SvidIdentity } from './svid.ts'
import { MESH_TLS } from './tls-settings.ts'
import { spiffeIdOf } from './x509.ts'

const HANDSHAKE_LIMIT_MS = 10_000
const CONNECTIONS_PER_SOURCE = 64

export interface GrpcListenOptions {
  readonly server: GrpcServer
  /** Port 0 takes any. */
  readonly addresses: readonly Address[]
  /** Connections are refused while it is undefined. */
  readonly identity: Watch<SvidIdentity | undefined>
  /** Whether a caller must show an SVID of our trust domain; false only for the signing call. */
  readonly requireClient: boolean
  /** A connection that came to nothing: no TLS, no certificate, a foreign one, too many. */
  readonly onRefused: (source: string, reason: string) => void
}

export interface GrpcListener {
  /** As bound, in the order of `addresses`. */
  readonly addresses: readonly Address[]
  /** Takes no more connections, lets calls end for `graceMs` at most. */
  close(graceMs: number): Promise<void>
}

/** Rejects with the system's error when an address cannot be bound; nothing listens then. */
export async function listenGrpc(options: GrpcListenOptions): Promise<GrpcListener> {
  const injector = options.server.createConnectionInjector(ServerCredentials.createInsecure())
  const sockets = new Set<TLSSocket>()
  const servers = options.addresses.map(() =>
    createTlsServer(options, (socket) => {
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
      injector.injectConnection(socket)
    }),
  )
  const setContext = (identity: SvidIdentity | undefined) => {
    if (identity !== undefined) for (const server of servers) server.setSecureContext(contextOf(identity))
  }
  setContext(options.identity.current)
  const stopWatching = options.identity.subscribe(setContext)
  const close = async (graceMs: number) => {
    stopWatching()
    for (const server of servers) server.close()
    injector.drain(graceMs)
    await closed(sockets, graceMs)
  }
  try {
    return {
      addresses: await Promise.all(servers.map((server, index) => listen(server, options.addresses[index]))),
      close,
    }
  } catch (error) {
    await close(0)
    throw error
  }
}

/** Who made a call: the SVID of its connection. Throws an Error when it has none (only where requireClient is false). */
export function callerOf(call: ServerSurfaceCall): SpiffeId {
  const certificate = call.getAuthContext().sslPeerCertificate
  if (certificate === undefined) throw new Error('the caller has shown no certificate')
  return spiffeIdOf(certificate.raw)
}

/** The IP address that a call comes from, in canonical form. */
export function sourceOf(call: ServerSurfaceCall): string {
  const peer = call.getPeer()
  return canonicalHost(peer.slice(0, peer.lastIndexOf(':')))
}

function contextOf(identity: SvidIdentity) {
  return {
    ...MESH_TLS,
    cert: identity.chain,
    key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
    ca: identity.roots,
    // Channels live for hours: resumption would save nothing and keep old identities alive.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}

function createTlsServer(options: GrpcListenOptions, onSecured: (socket: TLSSocket) => void): Server {
  const perSource = new Map<string, number>()
  const server = createServer({
    ...MESH_TLS,
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
    requestCert: options.requireClient,
    rejectUnauthorized: options.requireClient,
    noDelay: true,
    keepAlive: true,
  })
  server.on('connection', (socket) => {
    const source = socket.remoteAddress ?? ''
    const count = (perSource.get(source) ?? 0) + 1
    perSource.set(source, count)
    socket.once('close', () => {
      const left = (perSource.get(source) ?? 1) - 1
      if (left === 0) perSource.delete(source)
      else perSource.set(source, left)
    })
    if (count <= CONNECTIONS_PER_SOURCE) return
    options.onRefused(source, 'too many connections')
    socket.destroy()
  })
  server.on('tlsClientError', (error, socket) => {
    options.onRefused(socket.remoteAddress ?? 'unknown', error.message)
  })
  server.on('secureConnection', (socket) => {
    const fault = options.requireClient ? faultOfClient(socket, options.identity.current) : undefined
    if (fault === undefined) return onSecured(socket)
    options.onRefused(socket.remoteAddress ?? 'unknown', fault)
    socket.destroy()
  })
  return server
}

function faultOfClient(socket: TLSSocket, own: SvidIdentity | undefined): string | undefined {
  try {
    const peer = spiffeIdOf(socket.getPeerX509Certificate()?.raw ?? Buffer.alloc(0))
    const { trustDomain } = spiffeIdParts(peer)
    if (own !== undefined && trustDomain === spiffeIdParts(own.id).trustDomain) return undefined
    return `${peer} is of another trust domain`
  } catch (error) {
    return String(error)
  }
}

function listen(server: Server, address: Address | undefined): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address?.host, port: address?.port ?? 0, ipv6Only: true }, () => {
      server.removeListener('error', reject)
      const bound = server.address()
      if (bound === null || typeof bound === 'string') reject(new Error('a listener without an address'))
      else resolve({ host: canonicalHost(bound.address), port: bound.port })
    })
  })
}

/** Waits until every socket is gone; destroys what is left when the time is over. */
function closed(sockets: ReadonlySet<TLSSocket>, graceMs: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      for (const socket of sockets) socket.destroy()
    }, graceMs)
    let left = sockets.size
    const done = () => {
      if (left > 0) return
      clearTimeout(timer)
      resolve()
    }
    for (const socket of sockets) {
      socket.once('close', () => {
        left--
        done()
      })
    }
    done()
  })
}
