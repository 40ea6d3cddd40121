// Starts the OpenTelemetry SDK, only once somebody wants traces: it costs 15 MB and 65 ms even when bundled.
// Nothing of it stays registered globally: no context manager, no propagator, no instrumentation. Sampling is ours and
// is over before a span is made, so its own sampler says yes to everything.
import { type ContextManager, context, logs, ROOT_CONTEXT, type Tracer, trace } from '@opentelemetry/api'
import type { SpanExporter, SpanQueue } from './span-queue.ts'
import type { TraceIds } from './trace-ids.ts'

export interface TracerOptions {
  readonly resource: Readonly<Record<string, string>>
  readonly queue: SpanQueue
  readonly ids: TraceIds
  readonly version: string
}

const NO_CONTEXT: ContextManager = {
  active: () => ROOT_CONTEXT,
  with: (_context, run, self, ...values) => run.call(self as ThisParameterType<typeof run>, ...values),
  bind: (_context, target) => target,
  enable: () => NO_CONTEXT,
  disable: () => NO_CONTEXT,
}

// SamplingDecision.RECORD_AND_SAMPLED, whose enum lives in a package that we do not load for one number.
const SAMPLED = { decision: 2 } as const

export async function startTracer(options: TracerOptions): Promise<Tracer> {
  const { NodeSDK } = await import('@opentelemetry/sdk-node')
  const sdk = new NodeSDK({
    resourceDetectors: [{ detect: () => ({ attributes: options.resource }) }],
    spanProcessors: [options.queue.processor],
    sampler: { shouldSample: () => SAMPLED, toString: () => 'Weft' },
    idGenerator: options.ids,
    contextManager: NO_CONTEXT,
    textMapPropagator: null,
    instrumentations: [],
    metricReaders: [],
    logRecordProcessors: [],
  })
  // start() hands the provider over by way of the global API and in no other way.
  trace.disable()
  sdk.start()
  const tracer = trace.getTracer('weft', options.version)
  trace.disable()
  context.disable()
  logs.disable()
  return tracer
}

/** Loads the exporter of that protocol alone. Throws where the endpoint is not a URL. */
export async function createOtlpExporter(endpoint: string, protocol: 'grpc' | 'http'): Promise<SpanExporter> {
  const url = new URL(endpoint)
  if (protocol === 'grpc') {
    const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-grpc')
    return new OTLPTraceExporter({ url: url.href })
  }
  // As with OTEL_EXPORTER_OTLP_ENDPOINT: a bare address gets the path of the signal.
  if (url.pathname === '/') url.pathname = '/v1/traces'
  const { OTLPTraceExporter } = await import('@opentelemetry/exporter-trace-otlp-http')
  return new OTLPTraceExporter({ url: url.href })
}
