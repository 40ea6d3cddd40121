// Verbs of the discovery tests: a mesh of a few lines, a control that serves it and sidecars that ask it.
import { on } from 'node:events'
import { setImmediate } from 'node:timers/promises'
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { type Clock, systemClock } from '#shared/clock.ts'
import type { ControlMessage, EndpointState, SidecarMessage } from '#shared/contract/discovery.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { DestinationConfig, RequestPolicy, WorkloadConfig } from '#shared/decide/config.ts'
import { USUAL_POLICY } from '#shared/decide/usual-policy.fixture.ts'
import { CHANNEL_OPTIONS, channelCredentials } from '#shared/identity/grpc-client.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { silentLog } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'
import { createDiscoveryServer, type DiscoveryServer } from '../../control/serve/server.ts'
import type { ModelView } from '../../control/serve/view.ts'
import type { Discovery, DiscoveryOptions } from '../../sidecar/discover/client.ts'
import { createDiscovery } from '../../sidecar/discover/client.ts'
import type { TestAuthority } from './svid.ts'

export const TRUST_DOMAIN = 'weft.test'
export const CONTROL_ID = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/ns/weft-system/sa/weft-control`)
export const WEB_ID = parseSpiffeId(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`)
export const CATALOG = { host: '10.96.0.7', port: 8080 } as const
export const CATALOG_KEY = '10.96.0.7:8080'
export const CATALOG_BACKEND = 'shop/catalog:8080'

const POLICY: RequestPolicy = { ...USUAL_POLICY, retries: { ...USUAL_POLICY.retries, attempts: 1, methods: [] } }

export function destinationConfig(change: Partial<DestinationConfig> = {}): DestinationConfig {
  const service = { namespace: 'shop', name: 'catalog', port: 8080 }
  return {
    service,
    kind: 'service',
    protocol: 'http',
    rules: [],
    defaultBackend: CATALOG_BACKEND,
    policy: POLICY,
    backends: [
      {
        key: CATALOG_BACKEND,
        service,
        policy: { algorithm: 'RoundRobin', connectTimeoutMs: 5000, consecutiveFailures: 5, from: [] },
      },
    ],
    ...change,
  }
}

export function workloadConfig(change: Partial<WorkloadConfig> = {}): WorkloadConfig {
  return {
    name: 'web',
    namespace: 'shop',
    serviceAccount: 'web',
    labels: { app: 'web' },
    mtls: 'Strict',
    ports: [{ port: 8080, protocol: 'http', service: 'shop/web' }],
    tracing: { endpoint: null, protocol: 'http', samplingPercent: 100, propagators: ['tracecontext'] },
    accessLog: true,
    ...change,
  }
}

export const endpoint = (address: string, change: Partial<EndpointState> = {}): EndpointState => ({
  address,
  weight: 1,
  identity: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/catalog`,
  pod: `catalog-${address}`,
  ...change,
})

/** A mesh with one service, catalog, and the pod web-0 that calls it; say what differs. */
export function mesh(
  change: {
    destinations?: Readonly<Record<string, DestinationConfig>>
    endpoints?: Readonly<Record<string, readonly EndpointState[]>>
    workload?: WorkloadConfig
    ranges?: readonly string[]
  } = {},
): ModelView {
  const destinations = change.destinations ?? { [CATALOG_KEY]: destinationConfig() }
  const endpoints = change.endpoints ?? { [CATALOG_BACKEND]: [endpoint('10.77.0.5:8080')] }
  return {
    ranges: change.ranges ?? ['10.77.0.0/16', '10.96.0.0/16'],
    pod: (name) => (/^(web)-\d+$/.test(name) ? { namespace: 'shop', serviceAccount: 'web' } : null),
    destination: (key) => destinations[key] ?? null,
    placeOf: () => ({ node: '', zone: '' }),
    endpoints: (backend, family) => (family === 'ipv4' ? (endpoints[backend] ?? []) : []),
    workload: () => change.workload ?? workloadConfig(),
    workloadObjects: () => [],
  }
}

export interface RunningControl extends AsyncDisposable {
  readonly server: DiscoveryServer
  readonly model: Watched<ModelView | undefined>
  readonly identity: Watched<SvidIdentity | undefined>
  readonly address: string
  readonly port: number
}

export async function startControl(
  authority: TestAuthority,
  options: {
    model?: ModelView | undefined
    port?: number
    limits?: Parameters<typeof createDiscoveryServer>[0]['limits']
    replicas?: Parameters<typeof createDiscoveryServer>[0]['replicas']
    clock?: Clock
    random?: () => number
  } = {},
): Promise<RunningControl> {
  const model = new Watched<ModelView | undefined>('model' in options ? options.model : mesh())
  const identity = new Watched<SvidIdentity | undefined>(await authority.issue(CONTROL_ID))
  const server = createDiscoveryServer({
    model,
    identity,
    trustDomain: TRUST_DOMAIN,
    software: 'test',
    clock: options.clock ?? systemClock,
    random: options.random ?? (() => 0.5),
    log: silentLog,
    ...(options.replicas === undefined ? {} : { replicas: options.replicas }),
    ...(options.limits === undefined ? {} : { limits: options.limits }),
  })
  const { port } = await server.listen({ host: '127.0.0.1', port: options.port ?? 0 })
  return {
    server,
    model,
    identity,
    address: `127.0.0.1:${port}`,
    port,
    [Symbol.asyncDispose]: () => server.close(),
  }
}

export interface RunningSidecar extends AsyncDisposable {
  readonly discovery: Discovery
  readonly identity: Watched<SvidIdentity | undefined>
}

export async function startSidecar(
  authority: TestAuthority,
  controlAddress: string,
  options: Partial<DiscoveryOptions> & { as?: string } = {},
): Promise<RunningSidecar> {
  const identity = new Watched<SvidIdentity | undefined>(await authority.issue(options.as ?? WEB_ID))
  const discovery = createDiscovery({
    controlAddress,
    controlId: CONTROL_ID,
    identity,
    pod: 'web-0',
    addresses: ['10.77.0.2'],
    snapshotFile: null,
    log: silentLog,
    clock: systemClock,
    random: () => 0,
    ...options,
  })
  return { discovery, identity, [Symbol.asyncDispose]: () => discovery.close() }
}

/** Resolves when the watch says what is awaited; the test's own time limit ends a wait in vain. */
export function eventually<T>(watch: Watch<T>, test: (value: T) => boolean): Promise<T> {
  const { promise, resolve } = Promise.withResolvers<T>()
  const stop = watch.subscribe((value) => check(value))
  const check = (value: T) => {
    if (!test(value)) return
    stop()
    resolve(value)
  }
  check(watch.current)
  return promise
}

/** For what has no watch: looks again at each turn of the event loop. */
export async function untilTrue(test: () => boolean): Promise<void> {
  while (!test()) await setImmediate()
}

export interface RawStream extends AsyncDisposable {
  send(message: SidecarMessage): void
  /** The next message; rejects with the status when the stream has ended. */
  next(): Promise<ControlMessage>
  /** Resolves with the gRPC status code that ends the stream. */
  ended(): Promise<number>
}

/** A stream without the sidecar's client around it: each message by hand. `as: null` shows no certificate. */
export async function openRawStream(
  authority: TestAuthority,
  address: string,
  options: { as?: string | null; pod?: string; roots?: string } = {},
): Promise<RawStream> {
  const own = options.as === null ? {} : { own: await authority.issue(options.as ?? WEB_ID) }
  const roots = options.roots ?? authority.roots
  const Client = loadContract('discovery')
  const client = new Client(address, channelCredentials({ roots, server: CONTROL_ID, ...own }), CHANNEL_OPTIONS)
  const call = client.Sync(new Metadata())
  const messages = on(call, 'data')
  const ended = Promise.withResolvers<number>()
  call.on('error', (error: ServiceError) => ended.resolve(error.code))
  call.on('end', () => ended.resolve(status.OK))
  call.write({ hello: { pod: options.pod ?? 'web-0', software: 'raw', addresses: [], openedAtMs: 0 } })
  return {
    send: (message) => call.write(message),
    async next() {
      const { value } = await messages.next()
      return value?.[0] as ControlMessage
    },
    ended: () => ended.promise,
    async [Symbol.asyncDispose]() {
      call.cancel()
      client.close()
    },
  }
}
