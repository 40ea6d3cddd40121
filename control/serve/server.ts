// The discovery server: mutual TLS on each address, one gRPC service behind them all.
import { type handleBidiStreamingCall, Server, ServerCredentials, status } from '@grpc/grpc-js'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { ControlMessage, SidecarMessage } from '#shared/contract/discovery.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { createEndpointHistory } from './delta.ts'
import { listenMutualTls, type MutualTlsListener } from './mutual-tls.ts'
import { ProtocolError } from './protocol-error.ts'
import { createSidecars, type Sidecars } from './sidecars.ts'
import { contentsByModel, type ServeLimits, serveStream } from './stream.ts'
import type { ModelView } from './view.ts'

export interface DiscoveryServerOptions {
  readonly model: Watch<ModelView | undefined>
  readonly identity: Watch<SvidIdentity | undefined>
  readonly trustDomain: string
  readonly software: string
  readonly limits?: Partial<ServeLimits>
  readonly clock: Clock
  readonly log: Log
}

export interface DiscoveryServer {
  readonly sidecars: Sidecars
  /** Resolves when the first identity is there and the address is bound; port 0 takes a free one. */
  listen(address: Address): Promise<Address>
  /** Ends all streams so that sidecars go elsewhere, then the connections. */
  close(): Promise<void>
}

const LIMITS: ServeLimits = { maxSubscriptions: 4096, maxStreamsPerPod: 4, maxStreamsPerIdentity: 4096 }
const MAX_CONNECTIONS = 20_000
/** 4096 names of 100 bytes and their versions fit twice over. */
const MAX_MESSAGE_BYTES = 1024 * 1024
const CLOSE_MS = 500

const SERVER_OPTIONS = {
  'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
  'grpc.max_concurrent_streams': 4,
  // A sidecar whose machine vanished must not count as connected for long.
  'grpc.keepalive_time_ms': 10_000,
  'grpc.keepalive_timeout_ms': 10_000,
  'grpc.enable_channelz': 0,
}

export function createDiscoveryServer(options: DiscoveryServerOptions): DiscoveryServer {
  const stopping = new AbortController()
  const sidecars = createSidecars()
  const streams = new Set<(error: ProtocolError) => void>()
  const listeners: MutualTlsListener[] = []
  const parts = {
    ...options,
    sidecars,
    limits: { ...LIMITS, ...options.limits },
    contentsOf: contentsByModel(),
    history: createEndpointHistory(),
  }
  const Sync: handleBidiStreamingCall<SidecarMessage, ControlMessage> = (call) => {
    const end = serveStream(call, parts)
    streams.add(end)
    call.on('close', () => streams.delete(end))
  }
  const server = new Server(SERVER_OPTIONS)
  server.addService(loadContract('discovery').service, { Sync })
  // The sockets handed in are TLS already, so for gRPC they are plain.
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure())
  return {
    sidecars,
    async listen(address) {
      const onConnection = injector.injectConnection.bind(injector)
      const tls = { ...options, maxConnections: MAX_CONNECTIONS, onConnection }
      const listener = await listenMutualTls(tls, address, stopping.signal)
      listeners.push(listener)
      return listener.address
    },
    async close() {
      stopping.abort(new Error('control is stopping'))
      for (const listener of listeners) listener.close()
      for (const end of streams) end(new ProtocolError(status.UNAVAILABLE, 'control is stopping'))
      await shutdown(server)
      for (const listener of listeners) listener.destroy()
    },
  }
}

/** The statuses just written get a moment to leave, then the connections are cut. */
async function shutdown(server: Server): Promise<void> {
  const { promise, resolve } = Promise.withResolvers<void>()
  const timer = setTimeout(() => server.forceShutdown(), CLOSE_MS)
  server.tryShutdown(() => resolve())
  await promise
  clearTimeout(timer)
}
