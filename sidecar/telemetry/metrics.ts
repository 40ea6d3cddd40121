// The counters of a sidecar and their Prometheus page. Observing a request allocates nothing once its label set is known.
import type { Direction } from '#flow/connection.ts'
import type { ConnectionEnded, RequestEnded, Sink } from '#flow/event.ts'
import { createExposition, createHistogram, type Exposition, type Histogram, observeSeconds } from './exposition.ts'
import { knownMethod } from './methods.ts'
import { CLIENT_LABELS, METRICS, type Metric, SERVER_LABELS, TCP_LABELS } from './metric-table.ts'
import { isRpcError, rpcStatus } from './rpc.ts'
import { createFamily, type Family, type LabelValue, labelText, type SeriesBudget } from './series.ts'
import { createServerNames, type ServerNames } from './server-names.ts'

export interface MetricsOptions {
  readonly version: string
  /** Label sets over all families; beyond it they share one overflow series per family. Default 2000. */
  readonly maxSeries?: number
  /** Read when the page is made; each is a running total or a present value. */
  readonly readings?: {
    readonly eventLoopDelay?: () => number
    readonly spansExported?: () => number
    readonly spansDropped?: () => number
    readonly accessLogDropped?: () => number
  }
}

export interface Metrics {
  readonly sink: Sink
  /** Call at accept; the matching ConnectionEnded event closes it. */
  connectionOpened(direction: Direction): void
  /** A further try was wanted but the budget was spent. Tries that were made are counted from RequestEnded.attempts. */
  retryOverBudget(service: string | null): void
  /** null: the breaker is gone. */
  setBreaker(service: string, state: 'closed' | 'halfOpen' | 'open' | null): void
  setCertificateExpiry(certificate: 'workload' | 'root', expiresAt: Date | null): void
  /** Prometheus text exposition 0.0.4. */
  render(): string
}

interface HttpSeries extends Histogram {
  requestBytes: number
  responseBytes: number
}
interface TcpSeries {
  closed: number
  sent: number
  received: number
}
interface Counter {
  value: number
}

const BREAKER_STATES = { closed: 0, halfOpen: 1, open: 2 } as const

/** All that is counted; made by createMetrics, written by the sink, read by render. */
interface Registry {
  readonly budget: SeriesBudget
  readonly server: Family<HttpSeries>
  readonly client: Family<HttpSeries>
  readonly tcp: Family<TcpSeries>
  readonly retries: Family<Counter>
  readonly retriesOverBudget: Family<Counter>
  readonly breakers: Map<string, number>
  readonly expiries: Map<string, number>
  readonly opened: Record<Direction, number>
  readonly closed: Record<Direction, number>
  readonly serverNames: ServerNames
  /** One array for all look-ups: the sink is synchronous and series() keeps nothing of it. */
  readonly scratch: LabelValue[]
}

export function createMetrics(options: MetricsOptions): Metrics {
  const registry = createRegistry(options.maxSeries ?? 2000)
  return {
    sink: (event) => (event.kind === 'request' ? countRequest(registry, event) : countConnection(registry, event)),
    connectionOpened(direction) {
      registry.opened[direction]++
    },
    retryOverBudget(service) {
      registry.retriesOverBudget.series([service]).value++
    },
    setBreaker(service, state) {
      const labels = labelText(['weft_service'], [service])
      if (state === null) registry.breakers.delete(labels)
      else registry.breakers.set(labels, BREAKER_STATES[state])
    },
    setCertificateExpiry(certificate, expiresAt) {
      const labels = labelText(['weft_certificate'], [certificate])
      if (expiresAt === null) registry.expiries.delete(labels)
      else registry.expiries.set(labels, expiresAt.getTime() / 1000)
    },
    render: () => render(registry, options),
  }
}

function createRegistry(limit: number): Registry {
  const budget: SeriesBudget = { used: 0, limit, overflowed: 0 }
  const http = (): HttpSeries => ({ ...createHistogram(), requestBytes: 0, responseBytes: 0 })
  const counter = (): Counter => ({ value: 0 })
  return {
    budget,
    server: createFamily(SERVER_LABELS, budget, http),
    client: createFamily(CLIENT_LABELS, budget, http),
    tcp: createFamily(TCP_LABELS, budget, () => ({ closed: 0, sent: 0, received: 0 })),
    retries: createFamily(['weft_service'], budget, counter),
    retriesOverBudget: createFamily(['weft_service'], budget, counter),
    breakers: new Map(),
    expiries: new Map(),
    opened: { inbound: 0, outbound: 0 },
    closed: { inbound: 0, outbound: 0 },
    serverNames: createServerNames(),
    scratch: [],
  }
}

function countRequest(registry: Registry, event: RequestEnded): void {
  const { scratch } = registry
  const isClient = event.direction === 'outbound'
  const call = rpcStatus(event.grpcStatus)
  const isFailedCall = isRpcError(event.grpcStatus, event.direction)
  const isError = isFailedCall || event.status >= (isClient ? 400 : 500)
  scratch[0] = event.service
  scratch[1] = event.peer
  scratch[2] = event.route
  scratch[3] = knownMethod(event.method)
  scratch[4] = event.status === 0 ? null : event.status
  scratch[5] = event.version
  scratch[6] = isError
    ? (event.reason ?? (isFailedCall ? call : event.status))
    : event.status === 0
      ? (event.reason ?? '_OTHER')
      : null
  scratch[7] = event.reason
  scratch[8] = call
  if (isClient) {
    const server = registry.serverNames.of(event.service, event.destination)
    scratch[9] = server.address
    scratch[10] = server.port
  }
  const series = (isClient ? registry.client : registry.server).series(scratch)
  observeSeconds(series, event.durationMs / 1000)
  series.requestBytes += event.requestBytes
  series.responseBytes += event.responseBytes
  if (isClient && event.attempts > 1) registry.retries.series([event.service]).value += event.attempts - 1
}

function countConnection(registry: Registry, event: ConnectionEnded): void {
  const { scratch } = registry
  scratch[0] = event.direction
  scratch[1] = event.protocol
  scratch[2] = event.service
  scratch[3] = event.peer
  scratch[4] = event.reason
  const series = registry.tcp.series(scratch)
  series.closed++
  series.sent += event.bytesSent
  series.received += event.bytesReceived
  registry.closed[event.direction]++
}

function render(registry: Registry, options: MetricsOptions): string {
  const page = createExposition()
  renderHttp(page, registry)
  renderTcp(page, registry)
  page.samples(
    METRICS.retries,
    each(registry.retries.all(), (series) => series.value),
  )
  page.samples(
    METRICS.retriesOverBudget,
    each(registry.retriesOverBudget.all(), (series) => series.value),
  )
  page.samples(METRICS.breaker, registry.breakers)
  page.samples(METRICS.certificateExpiry, registry.expiries)
  page.samples(METRICS.series, [['', registry.budget.used]])
  page.samples(METRICS.overflowed, [['', registry.budget.overflowed]])
  renderReading(page, METRICS.eventLoopDelay, options.readings?.eventLoopDelay)
  renderReading(page, METRICS.spansExported, options.readings?.spansExported)
  renderReading(page, METRICS.spansDropped, options.readings?.spansDropped)
  renderReading(page, METRICS.accessLogDropped, options.readings?.accessLogDropped)
  renderProcess(page, options.version)
  return page.text()
}

function renderHttp(page: Exposition, registry: Registry): void {
  const { serverDuration, serverRequests, serverRequestBytes, serverResponseBytes } = METRICS
  renderSide(page, registry.server, [serverDuration, serverRequests, serverRequestBytes, serverResponseBytes])
  const { clientDuration, clientRequests, clientRequestBytes, clientResponseBytes } = METRICS
  renderSide(page, registry.client, [clientDuration, clientRequests, clientRequestBytes, clientResponseBytes])
}

type SideMetrics = readonly [duration: Metric, requests: Metric, requestBytes: Metric, responseBytes: Metric]

function renderSide(page: Exposition, family: Family<HttpSeries>, metrics: SideMetrics): void {
  const all = family.all()
  const [duration, requests, requestBytes, responseBytes] = metrics
  page.histograms(duration, all)
  page.samples(
    requests,
    each(all, (series) => series.count),
  )
  page.samples(
    requestBytes,
    each(all, (series) => series.requestBytes),
  )
  page.samples(
    responseBytes,
    each(all, (series) => series.responseBytes),
  )
}

function renderTcp(page: Exposition, registry: Registry): void {
  const directions = ['inbound', 'outbound'] as const
  const labelled = (read: (direction: Direction) => number) =>
    directions.map((direction) => [`weft_direction="${direction}"`, read(direction)] as const)
  page.samples(
    METRICS.tcpOpened,
    labelled((direction) => registry.opened[direction]),
  )
  page.samples(
    METRICS.tcpOpen,
    labelled((direction) => Math.max(0, registry.opened[direction] - registry.closed[direction])),
  )
  const tcp = registry.tcp.all()
  page.samples(
    METRICS.tcpClosed,
    each(tcp, (series) => series.closed),
  )
  page.samples(
    METRICS.tcpSent,
    each(tcp, (series) => series.sent),
  )
  page.samples(
    METRICS.tcpReceived,
    each(tcp, (series) => series.received),
  )
}

function renderReading(page: Exposition, metric: Metric, read: (() => number) | undefined): void {
  if (read !== undefined) page.samples(metric, [['', read()]])
}

function renderProcess(page: Exposition, version: string): void {
  const cpu = process.cpuUsage()
  page.samples(METRICS.memory, [['', process.memoryUsage.rss()]])
  page.samples(METRICS.cpu, [['', (cpu.user + cpu.system) / 1e6]])
  page.samples(METRICS.startTime, [['', performance.timeOrigin / 1000]])
  page.samples(METRICS.build, [[labelText(['version'], [version]), 1]])
}

function* each<S>(series: ReadonlyMap<string, S>, read: (series: S) => number): Generator<readonly [string, number]> {
  for (const [labels, value] of series) yield [labels, read(value)]
}
