// The listeners of discovery: TLS 1.3 with client certificates. They open when control has its own certificate.
import { once } from 'node:events'
import type { TLSSocket } from 'node:tls'
import type { Address } from '#shared/address.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { createTlsListener } from '#shared/identity/tls-listener.ts'
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

/** A pod needs two for a moment; one neighbour with half-open handshakes must not keep the others out. */
const MOST_CONNECTIONS_PER_SOURCE = 256

/** Listens when the first identity is there; rejects when the address cannot be had or the signal aborts first. */
export async function listenMutualTls(
  { identity, maxConnections, log, onConnection }: MutualTlsOptions,
  at: Address,
  signal: AbortSignal,
): Promise<MutualTlsListener> {
  const first = await until(identity, (current) => current !== undefined, signal)
  const { server, sockets, close } = createTlsListener({
    first,
    identity,
    isMutual: true,
    mostPerSource: MOST_CONNECTIONS_PER_SOURCE,
    log,
    onSecured: onConnection,
  })
  server.maxConnections = maxConnections
  server.listen(at.port, at.host)
  try {
    await once(server, 'listening', { signal })
  } catch (error) {
    close()
    throw error
  }
  server.on('error', (error) => log.error({ err: error }, 'discovery cannot take a connection'))
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
