// Tracing: a server span for each request that comes in, a client span for each try that goes out. What is not sampled
// never reaches the SDK. The configuration may change at any time: a swap of a pointer; spans under way still end.
import { ROOT_CONTEXT, type Span, SpanKind, type Tracer, trace } from '@opentelemetry/api'
import type { Exchange, Step } from '#flow/exchange.ts'
import type { Clock } from '#shared/clock.ts'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import { clientSpanName, describeClient, describeRefusal, describeServer, serverSpanName } from './attributes.ts'
import { createOtlpExporter, startTracer } from './otel.ts'
import { ownContext } from './own-text.ts'
import { type Extracted, extract, inject, isSampled, type Propagator, removeBroken } from './propagation.ts'
import { buildResource, type ResourceOptions } from './resource.ts'
import { createSpanClock, type SpanClock } from './span-clock.ts'
import { createSpanQueue, type SpanExporter, type SpanQueue } from './span-queue.ts'
import { createTraceIds, type TraceIds } from './trace-ids.ts'

export interface TracingOptions extends ResourceOptions {
  readonly workload: Watch<WorkloadConfig | undefined>
  readonly clock: Clock
  readonly log: Log
  readonly version: string
  /** As Math.random: for sampling and ids. */
  readonly random: () => number
  /** The identity of this pod, once it has one. */
  readonly self?: () => SpiffeId | null
  /** For tests; default: OTLP. */
  readonly createExporter?: (endpoint: string, protocol: 'grpc' | 'http') => Promise<SpanExporter>
}

export interface Tracing {
  /** Starts the server span and tells it to the application: put it first. */
  readonly inbound: Step
  /** A span per try, child of what the application sent. */
  readonly outbound: Step
  /** Resolves when the last change of configuration is in force. */
  settled(): Promise<void>
  /** Sends what waits, for 2 s at most. */
  shutdown(): Promise<void>
  readonly exported: () => number
  readonly dropped: () => number
}

/** What is in force while tracing is on. */
interface Active {
  readonly tracer: Tracer
  /** 0 to 1. */
  readonly ratio: number
  readonly propagators: readonly Propagator[]
}

interface Parts {
  readonly ids: TraceIds
  readonly times: SpanClock
  readonly random: () => number
  readonly self: () => SpiffeId | null
  active: Active | null
}

const SHUTDOWN_LIMIT_MS = 2000

export function createTracing(options: TracingOptions): Tracing {
  const parts: Parts = {
    ids: createTraceIds(options.random),
    times: createSpanClock(options.clock),
    random: options.random,
    self: options.self ?? (() => null),
    active: null,
  }
  const queue = createSpanQueue({ clock: options.clock, log: options.log })
  const configuration = followConfiguration(options, parts, queue)
  let ending: Promise<void> | null = null

  async function shutdown(): Promise<void> {
    configuration.stop()
    await configuration.settled()
    await Promise.race([queue.flush(), new Promise<void>((resolve) => options.clock.after(SHUTDOWN_LIMIT_MS, resolve))])
    parts.active = null
    queue.setExporter(null)
  }

  return {
    inbound: inboundStep(parts),
    outbound: outboundStep(parts),
    settled: configuration.settled,
    shutdown() {
      ending ??= shutdown()
      return ending
    },
    exported: queue.exported,
    dropped: queue.dropped,
  }
}

/** Keeps parts.active as the workload's configuration says. Changes are made one after another. */
function followConfiguration(options: TracingOptions, parts: Parts, queue: SpanQueue) {
  const createExporter = options.createExporter ?? createOtlpExporter
  let tracer: Tracer | null = null
  let target = ''
  let last = Promise.resolve()

  async function apply(workload: WorkloadConfig | undefined): Promise<void> {
    const wanted = workload?.tracing
    if (workload === undefined || wanted === undefined || wanted.endpoint === null) {
      parts.active = null
      target = ''
      queue.setExporter(null)
      return
    }
    const nextTarget = `${wanted.protocol} ${wanted.endpoint}`
    if (nextTarget !== target) {
      const exporter = await createExporter(wanted.endpoint, wanted.protocol)
      queue.setExporter(exporter)
      target = nextTarget
    }
    const { ids } = parts
    tracer ??= await startTracer({ resource: buildResource(options, workload), queue, ids, version: options.version })
    parts.active = { tracer, ratio: wanted.samplingPercent / 100, propagators: wanted.propagators }
  }

  function change(workload: WorkloadConfig | undefined): void {
    last = last
      .then(() => apply(workload))
      .catch((cause: unknown) => options.log.error({ err: cause }, 'tracing keeps its former configuration'))
  }

  const stop = options.workload.subscribe(change)
  change(options.workload.current)
  return { stop, settled: () => last }
}

function inboundStep(parts: Parts): Step {
  return {
    name: 'trace',
    onRequest(exchange) {
      const { active } = parts
      exchange.span = null
      if (active === null) {
        exchange.span = remoteSpan(extract(exchange.request))
        return 'continue'
      }
      const extracted = extract(exchange.request)
      removeBroken(exchange.request, extracted)
      if (!isWanted(parts, active, extracted)) {
        exchange.span = passUnsampled(parts, active, exchange, extracted)
        return 'continue'
      }
      const parent =
        extracted.parent === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, ownContext(extracted.parent))
      const startTime = parts.times.at(exchange.startedAt)
      const span = active.tracer.startSpan(serverSpanName(exchange), { kind: SpanKind.SERVER, startTime }, parent)
      exchange.span = span
      inject(exchange.request, span.spanContext(), active.propagators, extracted)
      return 'continue'
    },
    onEnd(exchange) {
      const { span } = exchange
      if (span === null || !span.isRecording()) return
      describeServer(span, exchange, parts.self())
      span.end(parts.times.now())
    },
  }
}

function outboundStep(parts: Parts): Step {
  return {
    name: 'trace',
    onRequest(exchange) {
      const { active } = parts
      const extracted = extract(exchange.request)
      exchange.span = remoteSpan(extracted)
      if (active === null) return 'continue'
      removeBroken(exchange.request, extracted)
      if (!isWanted(parts, active, extracted)) exchange.span = passUnsampled(parts, active, exchange, extracted)
      else exchange.span = sampledParent(parts, extracted)
      return 'continue'
    },
    onAttempt(exchange, attempt, fields) {
      const { active } = parts
      if (active === null || exchange.span === null || !isSampled(exchange.span.spanContext())) return
      const span = startClientSpan(parts, active, exchange, attempt.startedAt)
      attempt.span = span
      inject(fields, span.spanContext(), active.propagators, extract(fields))
    },
    onAttemptEnd(exchange, attempt, code) {
      // A try that never got a connection may not have passed onAttempt: it is a span all the same.
      attempt.span ??= lateSpan(parts, exchange, attempt.startedAt)
      const { span } = attempt
      if (span === null || !span.isRecording()) return
      describeClient(span, exchange, attempt, code, parts.self())
      span.end(parts.times.now())
    },
    onEnd(exchange) {
      if (exchange.attempts.length > 0) return
      const span = lateSpan(parts, exchange, exchange.startedAt)
      if (span === null) return
      describeRefusal(span, exchange, parts.self())
      span.end(parts.times.now())
    },
  }
}

/** The parent's decision is kept; without one the ratio decides. */
function isWanted(parts: Parts, active: Active, extracted: Extracted): boolean {
  return extracted.isSampled ?? parts.random() < active.ratio
}

/** Not sampled: a context that says so goes on untouched; where there is none yet, one is made, so that all further hops keep to it. */
function passUnsampled(parts: Parts, active: Active, exchange: Exchange, extracted: Extracted): Span {
  if (extracted.parent !== null && extracted.isSampled === false) return trace.wrapSpanContext(extracted.parent)
  const context = extracted.parent ?? {
    traceId: parts.ids.generateTraceId(),
    spanId: parts.ids.generateSpanId(),
    traceFlags: 0,
  }
  inject(exchange.request, context, active.propagators, extracted)
  return trace.wrapSpanContext(context)
}

/** What the application named, for the access log; null if nothing. */
function remoteSpan(extracted: Extracted): Span | null {
  return extracted.parent === null ? null : trace.wrapSpanContext(extracted.parent)
}

const NO_SPAN_ID = '0'.repeat(16)

/** The parent of the tries. Without one from the application it has a trace id only, which all tries share. */
function sampledParent(parts: Parts, extracted: Extracted): Span {
  if (extracted.parent !== null) return trace.wrapSpanContext({ ...ownContext(extracted.parent), traceFlags: 1 })
  return trace.wrapSpanContext({ traceId: parts.ids.generateTraceId(), spanId: NO_SPAN_ID, traceFlags: 1 })
}

function startClientSpan(parts: Parts, active: Active, exchange: Exchange, startedAt: number): Span {
  const parent = exchange.span?.spanContext()
  let context = ROOT_CONTEXT
  if (parent !== undefined && parent.spanId !== NO_SPAN_ID) context = trace.setSpanContext(ROOT_CONTEXT, parent)
  else if (parent !== undefined) parts.ids.preset(parent.traceId)
  const startTime = parts.times.at(startedAt)
  return active.tracer.startSpan(clientSpanName(exchange), { kind: SpanKind.CLIENT, startTime }, context)
}

function lateSpan(parts: Parts, exchange: Exchange, startedAt: number): Span | null {
  const { active } = parts
  if (active === null || exchange.span === null || !isSampled(exchange.span.spanContext())) return null
  return startClientSpan(parts, active, exchange, startedAt)
}
