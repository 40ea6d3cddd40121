// gRPC behind our own TLS listeners: grpc-js neither swaps its certificate as it is renewed nor tells who failed to connect.
// Each secured socket is handed to grpc-js, which speaks HTTP/2 inside it.
import { constants } from 'node:crypto'
import type { Socket } from 'node:net'
import { createServer, type Server, type TLSSocket } from 'node:tls'
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import { type Address, canonicalHost } from '#shared/address.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { MESH_TLS } from '#shared/identity/tls-settings.ts'
import type { Watch } from '#shared/watch.ts'

const HANDSHAKE_LIMIT_MS = 10_000
/** A sidecar needs one, for a moment. */
const CONNECTIONS_PER_SOURCE = 16

export interface ListenOptions {
  readonly server: GrpcServer
  /** Port 0 takes any. */
  readonly addresses: readonly Address[]
  readonly identity: Watch<SvidIdentity>
  /** A connection that came to nothing: no TLS, another version, too many from there. */
  readonly onRefused: (source: string, reason: string) => void
}

export interface Listener {
  /** As bound, in the order that was asked for. */
  readonly addresses: readonly Address[]
  /** Takes no more connections and lets calls end for `graceMs` at most. */
  close(graceMs: number): Promise<void>
}

/** Rejects with the system's error when an address cannot be bound; nothing listens then. */
export async function listen(options: ListenOptions): Promise<Listener> {
  const injector = options.server.createConnectionInjector(ServerCredentials.createInsecure())
  const sockets = new Set<Socket>()
  const servers = options.addresses.map(() => createTlsServer(options, sockets, injector.injectConnection))
  const stopWatching = options.identity.subscribe((identity) => {
    for (const server of servers) server.setSecureContext(contextOf(identity))
  })
  const close = async (graceMs: number) => {
    stopWatching()
    for (const server of servers) server.close()
    injector.drain(graceMs)
    await allClosed(sockets, graceMs)
    injector.destroy()
  }
  const bound = await Promise.allSettled(servers.map((server, index) => bind(server, options.addresses[index])))
  const failed = bound.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await close(0)
    throw failed.reason
  }
  return { addresses: bound.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])), close }
}

function contextOf(identity: SvidIdentity) {
  return {
    ...MESH_TLS,
    cert: identity.chain,
    key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
    // A sidecar calls every few hours: resumption would save nothing.
    secureOptions: constants.SSL_OP_NO_TICKET,
  }
}

function createTlsServer(options: ListenOptions, sockets: Set<Socket>, onSecured: (socket: TLSSocket) => void): Server {
  const server = createServer({
    ...contextOf(options.identity.current),
    ALPNProtocols: ['h2'],
    handshakeTimeout: HANDSHAKE_LIMIT_MS,
    noDelay: true,
  })
  const refuse = (socket: Socket, reason: string) => {
    options.onRefused(socket.remoteAddress ?? 'unknown', reason)
    socket.destroy()
  }
  const perSource = new Map<string, number>()
  server.on('connection', (socket) => {
    const source = socket.remoteAddress ?? 'unknown'
    const count = (perSource.get(source) ?? 0) + 1
    perSource.set(source, count)
    sockets.add(socket)
    socket.once('close', () => {
      sockets.delete(socket)
      const left = (perSource.get(source) ?? 1) - 1
      if (left === 0) perSource.delete(source)
      else perSource.set(source, left)
    })
    if (count > CONNECTIONS_PER_SOURCE) refuse(socket, 'too many connections')
  })
  server.on('tlsClientError', (error: NodeJS.ErrnoException, socket) => {
    // Who only looks whether the port answers has asked for nothing.
    if (error.code !== 'ECONNRESET') refuse(socket, error.message)
  })
  server.on('secureConnection', (socket) => {
    if (socket.alpnProtocol === 'h2') onSecured(socket)
    else refuse(socket, 'no HTTP/2 (ALPN)')
  })
  return server
}

function bind(server: Server, address: Address | undefined): Promise<Address> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    // [::] is every address of both families; other IPv6 addresses are just that.
    server.listen({ host: address?.host, port: address?.port ?? 0, ipv6Only: address?.host !== '::' }, () => {
      server.removeListener('error', reject)
      const bound = server.address()
      if (bound === null || typeof bound === 'string') reject(new Error('a listener without an address'))
      else resolve({ host: canonicalHost(bound.address), port: bound.port })
    })
  })
}

/** Waits until every socket is gone; destroys what is left when the time is over. */
async function allClosed(sockets: ReadonlySet<Socket>, graceMs: number): Promise<void> {
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, graceMs)
  await Promise.all([...sockets].map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))))
  clearTimeout(timer)
}
