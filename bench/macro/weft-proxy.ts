// One direction of a sidecar in a process of its own, with its real metrics, on loopback and without iptables or control:
// what these would say is told by the first argument (ProxyConfig as JSON).
import { createPrivateKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { Session } from 'node:inspector/promises'
import type { Endpoint } from '#flow/upstream.ts'
import { type Address, parseAddress } from '#shared/address.ts'
import { systemClock } from '#shared/clock.ts'
import type { DestinationConfig, WorkloadConfig } from '#shared/decide/config.ts'
import { USUAL_POLICY as POLICY } from '#shared/decide/usual-policy.fixture.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { createLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { startListener } from '../../sidecar/accept/listener.ts'
import { readSidecarConfig } from '../../sidecar/config.ts'
import { createSidecar } from '../../sidecar/sidecar.ts'
import { createTelemetry } from '../../sidecar/telemetry.ts'

export interface ProxyConfig {
  readonly direction: 'inbound' | 'outbound'
  readonly port: number
  /** Outbound: the endpoint. Inbound: the application. */
  readonly to: string
  /** Outbound: what the endpoint must prove; null: in clear. */
  readonly peer: string | null
  readonly identity: { readonly id: string; readonly chain: string; readonly key: string; readonly roots: string }
  /** Where spans go, all of them; null: no tracing. */
  readonly traces: string | null
  readonly accessLog: boolean
}

const SERVICE: Address = { host: '10.96.0.7', port: 8080 }
function destinationOf(): DestinationConfig {
  const service = { namespace: 'shop', name: 'catalog', port: 8080 }
  const policy = { algorithm: 'LeastRequest', connectTimeoutMs: 2000, consecutiveFailures: 5, from: [] } as const
  const key = 'shop/catalog:8080'
  const backends = [{ key, service, policy }]
  return { service, kind: 'service', protocol: 'http', rules: [], defaultBackend: key, policy: POLICY, backends }
}

function workloadOf({ traces, accessLog }: ProxyConfig): WorkloadConfig {
  const base = { name: 'web', namespace: 'shop', serviceAccount: 'web', labels: {}, mtls: 'Permissive' } as const
  const ports = [{ port: 8080, protocol: 'http', service: 'shop/catalog' }] as const
  const tracing = { endpoint: traces, protocol: 'grpc', samplingPercent: 100, propagators: ['tracecontext'] } as const
  return { ...base, ports, tracing, accessLog }
}

function identityOf({ identity }: ProxyConfig): SvidIdentity {
  const { id, chain, key, roots } = identity
  return {
    id: parseSpiffeId(id),
    chain,
    key: createPrivateKey(key),
    roots,
    expiresAt: new Date(Date.now() + 3_600_000),
  }
}

async function main(): Promise<void> {
  const given = JSON.parse(process.argv[2] ?? '') as ProxyConfig
  const config = readSidecarConfig({})
  const log = createLog('bench', 'warn')
  const to = parseAddress(given.to)
  const identity = new Watched<SvidIdentity | undefined>(identityOf(given))
  const workload = new Watched<WorkloadConfig | undefined>(workloadOf(given))
  const peer = given.peer === null ? null : parseSpiffeId(given.peer)
  const endpoints = new Watched<readonly Endpoint[]>([{ address: to, weight: 1, identity: peer, pod: 'catalog-0' }])
  const dropped = new AbortController().signal
  const known = { config: new Watched(destinationOf()), endpoints: () => endpoints, dropped }
  const discovery = { known: () => known, find: async () => known, workload }
  const common = { clock: systemClock, random: Math.random, log, identity, discovery }
  const sidecar = createSidecar({
    ...common,
    ...config,
    ...createTelemetry({ ...common, config }),
    workload,
    ownPorts: [],
    originalDestination: () => (given.direction === 'inbound' ? to : SERVICE),
  })
  const handler = given.direction === 'inbound' ? sidecar.inbound : sidecar.outbound
  await startListener({ direction: given.direction, port: given.port, handler })
}

/** From SIGUSR2 on, what runs is written to the file of the second argument when the process ends: the start is not of interest. */
async function profileInto(file: string): Promise<void> {
  const session = new Session()
  session.connect()
  await session.post('Profiler.enable')
  await session.post('Profiler.start')
  process.once('SIGTERM', async () => {
    const { profile } = await session.post('Profiler.stop')
    writeFileSync(file, JSON.stringify(profile))
    process.exit(0)
  })
}

const [, , , profile] = process.argv
if (profile !== undefined) process.once('SIGUSR2', () => void profileInto(profile))
await main()
