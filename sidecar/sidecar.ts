// The sidecar as one value: both paths over one set of parts. main.ts gives it the process's settings; a test its own.
import type { Duplex } from 'node:stream'
import type { Sink } from '#flow/event.ts'
import type { Step } from '#flow/exchange.ts'
import type { Identity, IdentitySource } from '#flow/identity.ts'
import type { Route } from '#flow/route.ts'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import { parseRange, type Range } from '#shared/contract/range.ts'
import type { HttpEngine, RequestPolicy, WorkloadConfig } from '#shared/decide/config.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { OriginalDestination } from './accept/destination.ts'
import { createDialer } from './connect/dial.ts'
import { buildInbound, type Inbound, type InboundParts } from './inbound.ts'
import { buildOutbound } from './outbound.ts'
import { answerFault } from './policy/answer-faults.ts'
import { removeForeignReason } from './policy/foreign-reason.ts'
import { refuseCompat } from './policy/refuse-compat.ts'
import { retryStale } from './policy/retry-stale.ts'
import type { Discoverer } from './route/look-up.ts'
import { createRouteTable } from './route/table.ts'
import { createOriginator } from './secure/originate.ts'
import { createTerminator } from './secure/terminate.ts'
import { createHttpServing } from './serve-http.ts'
import { createStepFactory } from './steps.ts'
import type { Metrics } from './telemetry/metrics.ts'
import { createUpstreams, type Upstreams } from './upstreams.ts'

export interface SidecarParts {
  readonly podAddresses: readonly string[]
  /** CIDRs of pods and services; empty: unknown. */
  readonly meshRanges: readonly string[]
  readonly trustDomain: string
  readonly ownPorts: readonly number[]
  readonly silenceMs: number
  readonly detectTimeoutMs: number
  readonly peerIdleMs: number
  readonly peerConnections: number
  readonly applicationIdleMs: number
  readonly originalDestination: OriginalDestination
  readonly discovery: Discoverer
  readonly workload: Watch<WorkloadConfig | undefined>
  readonly identity: IdentitySource
  readonly tracing: { readonly inbound: Step; readonly outbound: Step }
  readonly metrics: Pick<Metrics, 'setBreaker' | 'connectionOpened' | 'retryOverBudget'>
  readonly emit: Sink
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

// Inbound and passthrough dials have no policy of their own: the pod itself, or the world outside.
const CONNECT_TIMEOUT_MS = 5000

export function createSidecar(parts: SidecarParts) {
  const dial = createDialer({ connectTimeoutMs: CONNECT_TIMEOUT_MS })
  const serving = { inbound: createHttpServing(), outbound: createHttpServing() }
  const onBug = (error: unknown) => parts.log.error({ err: error }, 'a connection ended by a bug')
  const account = { emit: parts.emit, clock: parts.clock, onOpen: parts.metrics.connectionOpened, onBug }
  const common = { ...account, ...parts, answer: answerFault, dial: quietly(dial) }
  const portOf = portsOf(parts.workload)
  const engine = (port: number) => portOf(port)?.engine
  const upstreams = createUpstreams({
    ...parts,
    dial,
    originate: createOriginator(parts),
    httpVersion: (port) => portOf(port)?.httpVersion,
    isSelf: ({ host }) => parts.podAddresses.includes(host),
    handToSelf: (stream, to, alpn) => inbound.acceptLocal(stream, to, alpn, parts.identity.current?.id ?? null),
  })
  const inbound: Inbound = buildInbound({
    ...common,
    mode: () => parts.workload.current?.mtls,
    declared: (port) => portOf(port)?.protocol ?? 'detect',
    engine,
    serviceOf: (port) => portOf(port)?.service ?? null,
    terminate: createTerminator(parts),
    resolveFor: applicationRoutes(upstreams, engine, [parts.tracing.inbound, removeForeignReason, retryStale]),
    serveHttp: serving.inbound.serve,
  })
  const outbound = buildOutbound({
    ...common,
    isOfMesh: withinAny(parts.meshRanges.map(parseRange)),
    targetOf: createRouteTable({
      createBackend: upstreams.createBackend,
      createSteps: createStepFactory({ ...parts, trace: parts.tracing.outbound }),
    }),
    openBytes: upstreams.openBytes,
    serveHttp: serving.outbound.serve,
  })
  let roots = rootsOf(parts.identity.current)
  parts.identity.subscribe((identity) => {
    upstreams.renewIdentity()
    const now = rootsOf(identity)
    // Who was let in under a root that is gone has to prove itself under those that are left.
    if (roots.some((root) => !now.includes(root))) serving.inbound.renew()
    roots = now
  })
  return { inbound: inbound.handler, outbound, serving, upstreams }
}

const rootsOf = (identity: Identity | undefined): readonly string[] =>
  identity?.roots.match(/-----BEGIN[^-]+-----[^-]+/g) ?? []

const withinAny = (ranges: readonly Range[]) => (host: string) => ranges.some((range) => range.contains(host))

/** Asked for each request: found by its number. The table is made anew when another configuration is there. */
function portsOf(workload: SidecarParts['workload']) {
  let known: WorkloadConfig | undefined
  let byNumber = new Map<number, WorkloadConfig['ports'][number]>()
  return (port: number) => {
    const { current } = workload
    if (current !== known) {
      known = current
      byNumber = new Map(current?.ports.map((declared) => [declared.port, declared]))
    }
    return byNumber.get(port)
  }
}

/** A socket whose error nobody awaits yet must not end the process. */
function quietly(dial: ReturnType<typeof createDialer>) {
  return async (address: Address, signal: AbortSignal): Promise<Duplex> => {
    const socket = await dial(address, signal)
    socket.on('error', () => {})
    return socket
  }
}

/** The caller's sidecar has decided already: what is left to do here is to hand the request over. */
const APPLICATION_POLICY: RequestPolicy = {
  retries: {
    attempts: 1,
    statuses: [],
    methods: ['GET', 'HEAD', 'OPTIONS', 'PUT', 'DELETE', 'TRACE'],
    perTryTimeoutMs: null,
    backoffBaseMs: 0,
    budgetPercent: 0,
    budgetMinPerSecond: 0,
  },
  requestTimeoutMs: null,
  idleTimeoutMs: null,
  circuitBreaker: null,
  from: [],
}

function applicationRoutes(
  upstreams: Upstreams,
  engine: InboundParts['engine'],
  usual: readonly Step[],
): InboundParts['resolveFor'] {
  const compat = [...usual, refuseCompat]
  const policy = APPLICATION_POLICY
  const decision = { kind: 'forward', backend: 'application', rule: null, policy } as const
  return (destination, peer) => {
    const routeBy = (by: HttpEngine | undefined): Route => {
      const steps = by === 'compat' ? compat : usual
      return { decision, policy, steps, upstream: upstreams.application(destination, peer, by) }
    }
    let by = engine(destination.port)
    let route = routeBy(by)
    // A peer's connection outlives changes of the engine: the next request on it goes by the one of its time.
    return () => {
      const now = engine(destination.port)
      if (now !== by) route = routeBy(now)
      by = now
      return route
    }
  }
}
