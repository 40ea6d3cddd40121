// The addresses of certs: TLS of the mesh, and behind it gRPC. All of them are bound, or none.
import type { Socket } from 'node:net'
import type { Server } from 'node:tls'
import { type Server as GrpcServer, ServerCredentials } from '@grpc/grpc-js'
import { type Address, canonicalHost } from '#shared/address.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { createTlsListener } from '#shared/identity/tls-listener.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'

/** A sidecar needs one, for a moment. */
const CONNECTIONS_PER_SOURCE = 16

export interface ListenOptions {
  readonly server: GrpcServer
  /** Port 0 takes any. */
  readonly addresses: readonly Address[]
  readonly identity: Watch<SvidIdentity>
  readonly log: Log
}

export interface Listener {
  /** As bound, in the order that was asked for. */
  readonly addresses: readonly Address[]
  /** Takes no more connections and lets calls end for `graceMs` at most. */
  close(graceMs: number): Promise<void>
}

/** Rejects with the system's error when an address cannot be bound; nothing listens then. */
export async function listen({ server, addresses, identity, log }: ListenOptions): Promise<Listener> {
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  const listeners = addresses.map(() =>
    createTlsListener({
      first: identity.current,
      identity,
      // Who asks for a certificate has none yet: the token is the proof.
      isMutual: false,
      mostPerSource: CONNECTIONS_PER_SOURCE,
      log,
      onSecured: injector.injectConnection.bind(injector),
    }),
  )
  const close = async (graceMs: number) => {
    for (const listener of listeners) listener.close()
    injector.drain(graceMs)
    await allClosed(
      listeners.flatMap((listener) => [...listener.sockets]),
      graceMs,
    )
    injector.destroy()
  }
  const bound = await Promise.allSettled(listeners.map((listener, index) => bind(listener.server, addresses[index])))
  const failed = bound.find((result) => result.status === 'rejected')
  if (failed !== undefined) {
    await close(0)
    throw failed.reason
  }
  return { addresses: bound.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : [])), close }
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
async function allClosed(sockets: readonly Socket[], graceMs: number): Promise<void> {
  const timer = setTimeout(() => {
    for (const socket of sockets) socket.destroy()
  }, graceMs)
  await Promise.all(sockets.map((socket) => new Promise<void>((resolve) => socket.once('close', () => resolve()))))
  clearTimeout(timer)
}
