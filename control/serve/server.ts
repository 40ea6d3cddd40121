// The discovery server: mutual TLS on each address, one gRPC service behind them all.
import {
  type handleBidiStreamingCall,
  type handleClientStreamingCall,
  Server,
  ServerCredentials,
  status,
} from '@grpc/grpc-js'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { ControlMessage, SidecarMessage } from '#shared/contract/discovery.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ReplicaReport, ReportEnd } from '#shared/contract/replicas.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { createEndpointHistory } from './delta.ts'
import { listenMutualTls, type MutualTlsListener } from './mutual-tls.ts'
import { ProtocolError } from './protocol-error.ts'
import { createSidecars, type Sidecars } from './sidecars.ts'
import { contentsByModel, type ServedStream, type ServeLimits, serveStream } from './stream.ts'
import { createTurnover } from './turnover.ts'
import type { ModelView } from './view.ts'

export interface DiscoveryServerOptions {
  readonly model: Watch<ModelView | undefined>
  readonly identity: Watch<SvidIdentity | undefined>
  readonly trustDomain: string
  readonly software: string
  readonly limits?: Partial<ServeLimits>
  /** Of control, where there may be several: how many are ready, and the side that takes their reports. */
  readonly replicas?: {
    readonly Report: handleClientStreamingCall<ReplicaReport, ReportEnd>
    count(): number
  }
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export interface DiscoveryServer {
  readonly sidecars: Sidecars
  /** Resolves when the first identity is there and the address is bound; port 0 takes a free one. */
  listen(address: Address): Promise<Address>
  /** Takes no more connections, tells sidecars to go elsewhere within the time given, then ends all streams and connections. */
  close(drainMs?: number): Promise<void>
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
  const streams = new Streams()
  const listeners: MutualTlsListener[] = []
  const replicas = () => options.replicas?.count() ?? 1
  const parts = {
    ...options,
    sidecars,
    limits: { ...LIMITS, ...options.limits },
    contentsOf: contentsByModel(),
    history: createEndpointHistory(),
    turnover: createTurnover({ ...options, replicas, streams: () => streams.size }),
  }
  const Sync: handleBidiStreamingCall<SidecarMessage, ControlMessage> = (call) => {
    const stream = serveStream(call, parts)
    if (stopping.signal.aborted) return stream.end(isStopping())
    streams.add(stream)
    call.on('close', () => streams.delete(stream))
  }
  const server = new Server(SERVER_OPTIONS)
  server.addService(loadContract('discovery').service, { Sync })
  if (options.replicas !== undefined) {
    server.addService(loadContract('replicas').service, { Report: options.replicas.Report })
  }
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
    async close(drainMs = 0) {
      stopping.abort(new Error('control is stopping'))
      for (const listener of listeners) listener.close()
      await streams.drain(options.clock, drainMs)
      streams.end(isStopping())
      await shutdown(server)
      for (const listener of listeners) listener.destroy()
    },
  }
}

const isStopping = () => new ProtocolError(status.UNAVAILABLE, 'control is stopping')
/** The rest of the time is for those that found the other replica late. */
const MOVE_WITHIN = 0.8

class Streams {
  readonly #open = new Set<ServedStream>()
  #onEmpty = () => {}

  get size(): number {
    return this.#open.size
  }

  add(stream: ServedStream): void {
    this.#open.add(stream)
  }

  delete(stream: ServedStream): void {
    this.#open.delete(stream)
    if (this.#open.size === 0) this.#onEmpty()
  }

  /** Resolves when none is left, or when the time is over. */
  async drain(clock: Clock, drainMs: number): Promise<void> {
    if (drainMs === 0 || this.#open.size === 0) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    const cancel = clock.after(drainMs, resolve)
    for (const stream of this.#open) stream.move(drainMs * MOVE_WITHIN)
    await promise
    cancel()
  }

  end(error: ProtocolError): void {
    for (const stream of this.#open) stream.end(error)
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
