// Where balancing, connecting and mutual TLS meet: the backends that a route table asks for, and the application itself.
import { type Duplex, duplexPair } from 'node:stream'
import { type FaultCode, FlowError } from '#flow/error.ts'
import type { UpstreamGroup } from '#flow/route.ts'
import type { Endpoint, EndpointSet } from '#flow/upstream.ts'
import { type Address, formatAddress } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { BackendConfig } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { createHealthTracker } from './balance/health.ts'
import { createPool } from './balance/pool.ts'
import { AffinityMemories, type SessionAffinity } from './balance/session-affinity.ts'
import type { Dialer } from './connect/dial.ts'
import { type ConnectionPool, createHttp1Pool } from './connect/http1-pool.ts'
import { connectHttp1 } from './http1/client.ts'
import type { OpenedBytes } from './outbound.ts'
import type { Backend } from './route/table.ts'
import type { MeshAlpn } from './secure/mesh-alpn.ts'

export interface UpstreamParts {
  readonly dial: Dialer
  readonly originate: (stream: Duplex, expected: SpiffeId, alpn: MeshAlpn, signal: AbortSignal) => Promise<Duplex>
  readonly isSelf: (address: Address) => boolean
  /** An endpoint that is this very pod is handed to the inbound path in process. */
  readonly handToSelf: (stream: Duplex, destination: Address, alpn: MeshAlpn) => void
  readonly peerIdleMs: number
  readonly applicationIdleMs: number
  readonly clock: Clock
  readonly random: () => number
}

export interface Upstreams {
  createBackend(config: BackendConfig, endpoints: EndpointSet): Backend
  openBytes(backend: Backend, signal: AbortSignal): Promise<OpenedBytes>
  /** The application at an address of this pod, for one caller: what one leaves on a connection, no other may find. */
  application(address: Address, caller: SpiffeId | null): UpstreamGroup
  /** After a change of identity: what is opened from now on proves the new one. */
  renewIdentity(): void
  stats(): readonly { readonly backend: string; readonly connections: ReturnType<ConnectionPool['stats']> }[]
}

/** Further endpoints that a byte stream tries when one cannot be reached: nothing has left yet, so it is safe. */
const BYTE_TRIES = 3

export function createUpstreams(parts: UpstreamParts): Upstreams {
  const backends = new Set<RunningBackend>()
  const applications = new Map<string, Application>()
  const memories = new AffinityMemories()
  return {
    createBackend(config, endpoints) {
      const backend = new RunningBackend(config, endpoints, { ...parts, memories })
      backends.add(backend)
      backend.onClose = () => backends.delete(backend)
      return backend
    },
    openBytes: (backend, signal) => openBytes(backend as RunningBackend, parts, signal),
    application(address, caller) {
      const key = `${formatAddress(address)} ${caller ?? ''}`
      const found = applications.get(key) ?? createApplication(address, parts)
      // The one used last stands last.
      applications.delete(key)
      applications.set(key, found)
      if (applications.size > MOST_APPLICATIONS) dropOldest(applications)
      return found
    },
    renewIdentity() {
      for (const backend of backends) backend.connections.closeIdle()
    },
    stats: () =>
      [...backends].map(({ config, connections }) => ({ backend: config.key, connections: connections.stats() })),
  }
}

/** Callers choose ports, so what they fill has an end; whoever still uses a dropped one gets its connections, but shares none. */
const MOST_APPLICATIONS = 1024

interface Application extends UpstreamGroup {
  close(): void
}

function dropOldest(applications: Map<string, Application>): void {
  for (const [key, application] of applications) {
    applications.delete(key)
    return application.close()
  }
}

interface BackendParts extends UpstreamParts {
  readonly memories: AffinityMemories
}

function affinityOf({ key, policy }: BackendConfig, { memories, clock }: BackendParts): SessionAffinity | null {
  const { sessionAffinityMs: timeoutMs } = policy
  return timeoutMs === undefined ? null : { memory: memories.of(key), timeoutMs, clock }
}

class RunningBackend implements Backend {
  readonly config: BackendConfig
  readonly connections: ConnectionPool
  readonly acquire: UpstreamGroup['acquire']
  readonly lease: UpstreamGroup['lease']
  readonly emptyFault: FaultCode
  onClose = () => {}
  readonly #stop: () => void

  constructor(config: BackendConfig, endpoints: EndpointSet, parts: BackendParts) {
    this.config = config
    this.emptyFault = config.isLocalOnly ? 'NO_LOCAL_ENDPOINT' : 'NO_ENDPOINT'
    const { consecutiveFailures, connectTimeoutMs } = config.policy
    const health = createHealthTracker({ consecutiveFailures }, parts.clock)
    const affinity = affinityOf(config, parts)
    const pool = createPool({ endpoints, policy: config.policy, health, affinity, random: parts.random })
    this.connections = createHttp1Pool({
      connect: (endpoint, signal) => connectTo(endpoint, 'weft/http1', { parts, signal, timeoutMs: connectTimeoutMs }),
      open: connectHttp1,
      idleMs: parts.peerIdleMs,
      clock: parts.clock,
    })
    this.acquire = (endpoint, done) => this.connections.acquire(endpoint, done)
    this.lease = (hash, tried) => pool.lease(hash, tried)
    let before = endpoints.current
    const forget = endpoints.subscribe((now) => {
      for (const endpoint of before) if (!now.includes(endpoint)) this.connections.dropEndpoint(endpoint)
      before = now
    })
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

interface ConnectOptions {
  readonly parts: UpstreamParts
  readonly signal: AbortSignal
  readonly timeoutMs: number
}

/** One limit for the whole way: TCP and the handshake. */
async function connectTo(endpoint: Endpoint, alpn: MeshAlpn, options: ConnectOptions): Promise<Duplex> {
  const { parts, timeoutMs } = options
  if (parts.isSelf(endpoint.address)) {
    const [near, far] = duplexPair({ allowHalfOpen: true })
    for (const end of [near, far]) end.on('error', () => {})
    parts.handToSelf(far, endpoint.address, alpn)
    return near
  }
  const limit = AbortSignal.timeout(timeoutMs)
  const signal = AbortSignal.any([options.signal, limit])
  try {
    const socket = await parts.dial(endpoint.address, signal, timeoutMs)
    socket.on('error', () => {})
    return endpoint.identity === null ? socket : await parts.originate(socket, endpoint.identity, alpn, signal)
  } catch (error) {
    if (limit.aborted) throw new FlowError('CONNECT_TIMEOUT', { cause: error })
    throw error
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
      const stream = await connectTo(lease.endpoint, 'weft/tcp', { parts, signal, timeoutMs })
      return { stream, lease }
    } catch (error) {
      const fault = error instanceof FlowError ? error.code : 'INTERNAL'
      lease.done({ ok: false, fault, status: 0, durationMs: parts.clock.now() - startedAt })
      tried.push(lease.endpoint)
      if (signal.aborted || tried.length > BYTE_TRIES) throw error
    }
  }
}

/** Inbound has one endpoint, and nothing to balance or to eject. */
function createApplication(address: Address, parts: UpstreamParts): Application {
  const endpoint: Endpoint = { address, weight: 1, identity: null, pod: 'self' }
  const connections = createHttp1Pool({
    connect: async ({ address: to }, signal) => {
      const socket = await parts.dial(to, signal)
      socket.on('error', () => {})
      return socket
    },
    open: connectHttp1,
    idleMs: parts.applicationIdleMs,
    clock: parts.clock,
  })
  return {
    lease: () => ({ endpoint, done() {} }),
    acquire: (to, done) => connections.acquire(to, done),
    close: () => connections.close(),
  }
}
