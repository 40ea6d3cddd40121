// Where balancing, connecting and mutual TLS meet: the backends that a route table asks for, and the application itself.
import { type FaultCode, FlowError } from '#flow/error.ts'
import type { UpstreamGroup } from '#flow/route.ts'
import type { Endpoint, EndpointSet } from '#flow/upstream.ts'
import type { Address } from '#shared/address.ts'
import type { BackendConfig, HttpEngine } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { type ApplicationParts, createApplications } from './application.ts'
import { createHealthTracker } from './balance/health.ts'
import { createPool } from './balance/pool.ts'
import { AffinityMemories, type SessionAffinity } from './balance/session-affinity.ts'
import type { ConnectionPool } from './connect/http1-pool.ts'
import { connectTo } from './dialling.ts'
import type { OpenedBytes } from './outbound.ts'
import { type BackendConnections, createPeers, type PeerParts, type Peers } from './peers.ts'
import type { Backend } from './route/table.ts'

export interface UpstreamParts extends PeerParts, ApplicationParts {}

export interface Upstreams {
  createBackend(config: BackendConfig, endpoints: EndpointSet): Backend
  openBytes(backend: Backend, signal: AbortSignal): Promise<OpenedBytes>
  /** The application at an address of this pod, for one caller: what one leaves on a connection, no other may find. */
  application(address: Address, caller: SpiffeId | null, engine?: HttpEngine): UpstreamGroup
  /** After a change of identity: what is opened from now on proves the new one. */
  renewIdentity(): void
  stats(): ReturnType<Peers['stats']> & {
    /** One by one: upgrades, applications without a sidecar, and what a policy keeps apart. */
    readonly backends: readonly {
      readonly backend: string
      readonly connections: ReturnType<ConnectionPool['stats']>
    }[]
  }
}

/** Further endpoints that a byte stream tries when one cannot be reached: nothing has left yet, so it is safe. */
const BYTE_TRIES = 3

export function createUpstreams(parts: UpstreamParts): Upstreams {
  const backends = new Set<RunningBackend>()
  const peers = createPeers(parts)
  const applications = createApplications(parts)
  const memories = new AffinityMemories()
  return {
    createBackend(config, endpoints) {
      const backend = new RunningBackend(config, endpoints, { ...parts, memories, peers })
      backends.add(backend)
      backend.onClose = () => backends.delete(backend)
      return backend
    },
    openBytes: (backend, signal) => openBytes(backend as RunningBackend, parts, signal),
    application: applications.of,
    renewIdentity() {
      peers.renew()
      for (const backend of backends) backend.connections.closeIdle()
    },
    stats: () => ({
      ...peers.stats(),
      backends: [...backends].map(({ config, connections }) => ({
        backend: config.key,
        connections: connections.stats(),
      })),
    }),
  }
}

interface BackendParts extends UpstreamParts {
  readonly memories: AffinityMemories
  readonly peers: Peers
}

function affinityOf({ key, policy }: BackendConfig, { memories, clock }: BackendParts): SessionAffinity | null {
  const { sessionAffinityMs: timeoutMs } = policy
  return timeoutMs === undefined ? null : { memory: memories.of(key), timeoutMs, clock }
}

class RunningBackend implements Backend {
  readonly config: BackendConfig
  readonly connections: BackendConnections
  readonly acquire: UpstreamGroup['acquire']
  readonly lease: UpstreamGroup['lease']
  readonly emptyFault: FaultCode
  onClose = () => {}
  readonly #stop: () => void

  constructor(config: BackendConfig, endpoints: EndpointSet, parts: BackendParts) {
    this.config = config
    this.emptyFault = config.isLocalOnly ? 'NO_LOCAL_ENDPOINT' : 'NO_ENDPOINT'
    const { consecutiveFailures } = config.policy
    const health = createHealthTracker({ consecutiveFailures }, parts.clock)
    const affinity = affinityOf(config, parts)
    const pool = createPool({ endpoints, policy: config.policy, health, affinity, random: parts.random })
    const connections = parts.peers.connectionsOf(config)
    this.connections = connections
    this.acquire = (endpoint, wanted, done) => connections.acquire(endpoint, wanted, done)
    this.lease = (hash, tried) => pool.lease(hash, tried)
    connections.setEndpoints(endpoints.current)
    const forget = endpoints.subscribe((now) => connections.setEndpoints(now))
    this.#stop = () => {
      forget()
      pool.close()
      health.close()
    }
  }

  close(): void {
    this.#stop()
    this.connections.close()
    this.onClose()
  }
}

async function openBytes(backend: RunningBackend, parts: UpstreamParts, signal: AbortSignal): Promise<OpenedBytes> {
  const tried: Endpoint[] = []
  for (;;) {
    const lease = backend.lease(0, tried)
    if (lease === undefined) throw new FlowError(backend.emptyFault)
    const startedAt = parts.clock.now()
    try {
      const timeoutMs = backend.config.policy.connectTimeoutMs
      const { stream } = await connectTo(parts, lease.endpoint, ['weft/tcp'], { signal, timeoutMs })
      return { stream, lease }
    } catch (error) {
      const fault = error instanceof FlowError ? error.code : 'INTERNAL'
      lease.done({ ok: false, fault, status: 0, durationMs: parts.clock.now() - startedAt })
      tried.push(lease.endpoint)
      if (signal.aborted || tried.length > BYTE_TRIES) throw error
    }
  }
}
