// Two sidecars in this process, on loopback and without iptables: what iptables would say of a connection is told to them.
// For what does not need a namespace; test/integration has the real thing.
import type { AddressInfo, Server, Socket } from 'node:net'
import type { ConnectionEnded, RequestEnded } from '#flow/event.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { Address } from '#shared/address.ts'
import { type Clock, systemClock } from '#shared/clock.ts'
import type { DestinationConfig, WorkloadConfig } from '#shared/decide/config.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { startListener } from '../../sidecar/accept/listener.ts'
import { createSidecar, type SidecarParts } from '../../sidecar/sidecar.ts'
import { destinationConfig, TRUST_DOMAIN, workloadConfig } from './discovery.ts'
import { createTestAuthority, type TestAuthority } from './svid.ts'

export type Event = ConnectionEnded | RequestEnded

export interface Pair extends AsyncDisposable {
  /** Where the client's application connects to: it stands for the service's address after redirection. */
  readonly port: number
  /** Where a pod without a sidecar would reach the server's pod. */
  readonly inboundPort: number
  readonly destination: Watched<DestinationConfig>
  readonly workload: Watched<WorkloadConfig | undefined>
  readonly clientWorkload: Watched<WorkloadConfig | undefined>
  readonly endpoints: Watched<readonly Endpoint[]>
  readonly clientIdentity: Watched<SvidIdentity | undefined>
  readonly serverIdentity: Watched<SvidIdentity | undefined>
  /** Of the first replica. */
  readonly events: { readonly client: Event[]; readonly server: Event[] }
  readonly client: ReturnType<typeof createSidecar>
  /** The first replica's. */
  readonly server: ReturnType<typeof createSidecar>
  /** Issues further identities of this mesh. */
  readonly authority: TestAuthority
}

export const CLIENT_ID = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`
export const SERVER_ID = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/catalog`
export const SERVICE: Address = { host: '10.96.0.7', port: 8080 }
/** On a busy machine a client may be silent for 20 ms before its first byte, and is no worse for it. */
const PATIENCE_MS = 2000
const STEP = { name: 'no-tracing' } as const

export interface PairOptions {
  readonly config?: Partial<DestinationConfig>
  readonly workload?: Partial<WorkloadConfig>
  /** Ports of applications, one per endpoint; the first is also what inbound dials. */
  readonly application: number
  /** Of further replicas, each with a sidecar of its own. */
  readonly replicas?: readonly number[]
  /** Told of the client's sidecar. */
  readonly clock?: Clock
  /** Told of the servers' sidecars. */
  readonly serverClock?: Clock
  /** Of the client's pod: an endpoint there is itself. */
  readonly podAddresses?: readonly string[]
  /** In the place of one that keeps nothing. */
  readonly telemetry?: (direction: HalfOptions['direction']) => Telemetry
  /** After which a server may speak first; default 2 s. */
  readonly silenceMs?: number
  /** Of the client's sidecar, as WEFT_PEER_CONNECTIONS. */
  readonly peerConnections?: number
}

export async function startPair(options: PairOptions): Promise<Pair> {
  const authority = await createTestAuthority()
  const ports = [options.application, ...(options.replicas ?? [])]
  const servers = await Promise.all(ports.map((port) => startServer(authority, options, port)))
  const [server] = servers as [Half]
  const { id } = await authority.issue(SERVER_ID)
  const endpoints = servers.map(({ port }, at) => ({
    address: { host: '127.0.0.1', port },
    weight: 1,
    identity: id,
    pod: `catalog-${at}`,
  }))
  const client = await startHalf({
    identity: await authority.issue(CLIENT_ID),
    original: () => SERVICE,
    workload: workloadConfig(),
    direction: 'outbound',
    destination: destinationConfig({ protocol: 'detect', ...options.config }),
    endpoints,
    clock: options.clock ?? systemClock,
    podAddresses: options.podAddresses ?? [],
    telemetry: options.telemetry?.('outbound'),
    silenceMs: options.silenceMs,
    peerConnections: options.peerConnections ?? 4,
  })
  return {
    client: client.sidecar,
    server: server.sidecar,
    port: client.port,
    inboundPort: server.port,
    destination: client.destination,
    endpoints: client.endpoints,
    workload: server.workload,
    clientWorkload: client.workload,
    clientIdentity: client.identity,
    serverIdentity: server.identity,
    events: { client: client.events, server: server.events },
    authority,
    async [Symbol.asyncDispose]() {
      client.close()
      for (const { close } of servers) close()
    },
  }
}

async function startServer(authority: TestAuthority, options: PairOptions, application: number): Promise<Half> {
  return startHalf({
    identity: await authority.issue(SERVER_ID),
    original: () => ({ host: '127.0.0.1', port: application }),
    workload: workloadConfig({ ports: [], ...options.workload }),
    direction: 'inbound',
    destination: destinationConfig(),
    endpoints: [],
    clock: options.serverClock ?? systemClock,
    podAddresses: [],
    telemetry: options.telemetry?.('inbound'),
    silenceMs: options.silenceMs,
  })
}

type Telemetry = Pick<SidecarParts, 'tracing' | 'metrics'>
type Half = Awaited<ReturnType<typeof startHalf>>

export interface HalfOptions {
  readonly identity: SvidIdentity
  readonly original: (socket: Socket) => Address
  readonly workload: WorkloadConfig
  readonly direction: 'inbound' | 'outbound'
  readonly destination: DestinationConfig
  readonly endpoints: readonly Endpoint[]
  readonly clock: Clock
  readonly podAddresses: readonly string[]
  readonly silenceMs?: number | undefined
  /** As WEFT_PEER_CONNECTIONS. */
  readonly peerConnections?: number
  readonly telemetry?: Telemetry | undefined
}

export async function startHalf(options: HalfOptions) {
  const events: Event[] = []
  const identity = new Watched<SvidIdentity | undefined>(options.identity)
  const workload = new Watched<WorkloadConfig | undefined>(options.workload)
  const destination = new Watched(options.destination)
  const endpoints = new Watched(options.endpoints)
  const known = { config: destination, endpoints: () => endpoints, dropped: AbortSignal.any([]) }
  const sidecar = createSidecar({
    podAddresses: options.podAddresses,
    meshRanges: [],
    trustDomain: TRUST_DOMAIN,
    ownPorts: [],
    silenceMs: options.silenceMs ?? PATIENCE_MS,
    detectTimeoutMs: options.silenceMs ?? PATIENCE_MS,
    peerIdleMs: 30_000,
    peerConnections: options.peerConnections ?? 4,
    applicationIdleMs: 4000,
    originalDestination: options.original,
    discovery: { known: () => known, find: async () => known },
    workload,
    identity,
    tracing: { inbound: STEP, outbound: STEP },
    metrics: { setBreaker() {}, connectionOpened() {}, retryOverBudget() {} },
    ...options.telemetry,
    emit: (event) => events.push(event),
    clock: options.clock,
    random: Math.random,
    log: silentLog,
  })
  const handler = options.direction === 'inbound' ? sidecar.inbound : sidecar.outbound
  const listener = await startListener({ direction: options.direction, port: 0, handler })
  const close = () => {
    listener.close()
    listener.destroy()
  }
  return { port: listener.port, events, identity, workload, destination, endpoints, close, sidecar }
}

/** The port of a listening server. */
export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port
}
