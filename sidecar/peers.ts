// HTTP to endpoints, on the connection that fits: shared with all other requests to a sidecar, or one at a time; and to applications
// without a sidecar in the version that they speak.
import { FlowError } from '#flow/error.ts'
import type { AcquireDone, Wanted } from '#flow/route.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { Clock } from '#shared/clock.ts'
import type { BackendConfig } from '#shared/decide/config.ts'
import { type ConnectionPool, createHttp1Pool } from './connect/http1-pool.ts'
import { createHttp2Pool, type Http2Pool, type Http2PoolStats, speaksHttp2 } from './connect/http2-pool.ts'
import type { Dialled } from './connect/shared-connections.ts'
import { connectTo, type DiallingParts } from './dialling.ts'
import { connectHttp1 } from './http1/client.ts'
import { connectHttp2 } from './http2/client.ts'

export interface PeerParts extends DiallingParts {
  readonly peerIdleMs: number
  /** To one other sidecar, while long bodies pass. */
  readonly peerConnections: number
  readonly clock: Clock
  readonly random: () => number
}

/** The connections of one backend; those of HTTP/2 are shared with every other backend that has the endpoint. */
export interface BackendConnections {
  acquire(endpoint: Endpoint, wanted: Wanted, done: AcquireDone): () => void
  setEndpoints(endpoints: readonly Endpoint[]): void
  closeIdle(): void
  stats(): ReturnType<ConnectionPool['stats']>
  close(): void
}

export interface Peers {
  connectionsOf(config: BackendConfig): BackendConnections
  /** After a change of identity. */
  renew(): void
  /** shared: to sidecars. direct: of HTTP/2 to applications that have none. */
  stats(): { readonly shared: Http2PoolStats; readonly direct: Http2PoolStats }
}

/** So that connections of one age do not all end in one moment: 54 to 66 minutes. */
const LIFETIME_MS = 3_600_000
const SPREAD = 0.1
/** A sidecar that knows no weft/h2 is asked again after this time: it may have been replaced. */
const OLD_FOR_MS = 600_000

/** A peer that is gone without a word is noticed after two of these. */
const KEEPALIVE_MS = 10_000
/** One stream moves at most this much in a round trip: 64 KiB would be 64 MB a second at 1 ms, as between zones. */
const PEER_WINDOW_BYTES = 256 * 1024

const IS_OLD = new Error('the sidecar of the endpoint knows no weft/h2')

export function createPeers(parts: PeerParts): Peers {
  const { clock, random, peerIdleMs: idleMs } = parts
  const common = { idleMs, clock }
  const pools: Pools = {
    shared: createHttp2Pool({
      ...common,
      open: (stream) =>
        connectHttp2(stream, { trusted: true, keepaliveMs: KEEPALIVE_MS, windowBytes: PEER_WINDOW_BYTES }, clock),
      connect: (endpoint, signal, timeoutMs) => connectShared(parts, endpoint, { signal, timeoutMs }),
      lifetimeMs: () => LIFETIME_MS * (1 - SPREAD + 2 * SPREAD * random()),
      mostForBulk: parts.peerConnections,
    }),
    direct: createHttp2Pool({
      ...common,
      open: (stream) => connectHttp2(stream, {}, clock),
      connect: (endpoint, signal, timeoutMs) => connectTo(parts, endpoint, ['weft/tcp'], { signal, timeoutMs }),
      lifetimeMs: () => Number.POSITIVE_INFINITY,
    }),
    oldUntil: new WeakMap(),
  }
  return {
    connectionsOf: (config) => new Connections(config, parts, pools),
    renew() {
      pools.shared.renew()
      pools.direct.renew()
    },
    stats: () => ({ shared: pools.shared.stats(), direct: pools.direct.stats() }),
  }
}

async function connectShared(
  parts: PeerParts,
  endpoint: Endpoint,
  options: { readonly signal: AbortSignal; readonly timeoutMs: number },
): Promise<Dialled> {
  const connected = await connectTo(parts, endpoint, ['weft/h2', 'weft/http1'], options)
  if (connected.alpn === 'weft/h2') return connected
  connected.stream.destroy()
  throw new FlowError('CONNECT_FAILED', { cause: IS_OLD })
}

interface Pools {
  readonly shared: Http2Pool
  readonly direct: Http2Pool
  readonly oldUntil: WeakMap<Endpoint, number>
}

class Connections implements BackendConnections {
  readonly #config: BackendConfig
  readonly #pools: Pools
  readonly #clock: Clock
  readonly #timeoutMs: number
  readonly #oneByOne: ConnectionPool
  #endpoints: readonly Endpoint[] = []

  constructor(config: BackendConfig, parts: PeerParts, pools: Pools) {
    this.#config = config
    this.#pools = pools
    this.#clock = parts.clock
    this.#timeoutMs = config.policy.connectTimeoutMs
    const timeoutMs = this.#timeoutMs
    this.#oneByOne = createHttp1Pool({
      connect: async (to, signal) => (await connectTo(parts, to, ['weft/http1'], { signal, timeoutMs })).stream,
      open: connectHttp1,
      idleMs: parts.peerIdleMs,
      clock: parts.clock,
    })
  }

  acquire(endpoint: Endpoint, wanted: Wanted, done: AcquireDone): () => void {
    switch (this.#wayTo(endpoint, wanted)) {
      case 'one by one':
        return this.#oneByOne.acquire(endpoint, done)
      case 'direct':
        return this.#pools.direct.acquire(endpoint, done, this.#timeoutMs)
      case 'shared':
        return this.#acquireShared(endpoint, wanted, done)
    }
  }

  #wayTo(endpoint: Endpoint, wanted: Wanted): 'one by one' | 'direct' | 'shared' {
    if (wanted === 'upgrade') return 'one by one'
    const { httpVersion, policy } = this.#config
    if (endpoint.identity === null) return speaksHttp2(wanted, httpVersion) ? 'direct' : 'one by one'
    const isOld = (this.#pools.oldUntil.get(endpoint) ?? 0) > this.#clock.now()
    // Inside weft/tcp an old sidecar takes HTTP/2 for bytes: the application itself is at the other end.
    if (wanted === 'http2') return isOld ? 'direct' : 'shared'
    return isOld || policy.betweenSidecars === 'HTTP1' ? 'one by one' : 'shared'
  }

  #acquireShared(endpoint: Endpoint, wanted: Wanted, done: AcquireDone): () => void {
    let cancel = () => {}
    const onAcquired: AcquireDone = (error, connection, isReused) => {
      if (error?.cause !== IS_OLD) return done(error, connection, isReused)
      this.#pools.oldUntil.set(endpoint, this.#clock.now() + OLD_FOR_MS)
      cancel = this.acquire(endpoint, wanted, done)
    }
    cancel = this.#pools.shared.acquire(endpoint, onAcquired, this.#timeoutMs)
    return () => cancel()
  }

  setEndpoints(endpoints: readonly Endpoint[]): void {
    const { shared, direct } = this.#pools
    const before = this.#endpoints
    this.#endpoints = endpoints
    for (const endpoint of endpoints) {
      shared.use(endpoint)
      direct.use(endpoint)
    }
    for (const endpoint of before) {
      shared.release(endpoint)
      direct.release(endpoint)
      if (!endpoints.includes(endpoint)) this.#oneByOne.dropEndpoint(endpoint)
    }
  }

  closeIdle(): void {
    this.#oneByOne.closeIdle()
  }

  stats(): ReturnType<ConnectionPool['stats']> {
    return this.#oneByOne.stats()
  }

  close(): void {
    this.setEndpoints([])
    this.#oneByOne.close()
  }
}
