// Metrics, access log and traces of one sidecar, as one sink and two steps.

import { X509Certificate } from 'node:crypto'
import type { IdentitySource } from '#flow/identity.ts'
import type { Clock } from '#shared/clock.ts'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { SidecarConfig } from './config.ts'
import { createAccessLog } from './telemetry/access-log.ts'
import { monitorEventLoop } from './telemetry/event-loop.ts'
import { createLineWriter } from './telemetry/line-writer.ts'
import { createMetrics } from './telemetry/metrics.ts'
import { fanOut } from './telemetry/observe.ts'
import { createTracing } from './telemetry/trace.ts'

const STDOUT = 1
const VERSION = '0.1.0'

export interface TelemetryParts {
  readonly config: SidecarConfig
  readonly discovery: { readonly workload: Watch<WorkloadConfig | undefined> }
  readonly identity: IdentitySource
  readonly clock: Clock
  readonly random: () => number
  readonly log: Log
}

export function createTelemetry(parts: TelemetryParts) {
  const { config, identity, clock, log, random } = parts
  const { workload } = parts.discovery
  const self = () => identity.current?.id ?? null
  const eventLoop = monitorEventLoop()
  const output = createLineWriter(STDOUT)
  const accessLog = createAccessLog(output.write, () => workload.current?.accessLog === true, { self })
  const tracing = createTracing({
    workload,
    clock,
    log,
    version: VERSION,
    random,
    self,
    resource: {
      'service.instance.id': config.podName,
      'k8s.pod.name': config.podName,
    },
    otelResourceAttributes: config.resourceAttributes,
    otelServiceName: config.serviceName,
  })
  const metrics = createMetrics({
    version: VERSION,
    readings: {
      eventLoopDelay: eventLoop.takeP99Seconds,
      spansExported: tracing.exported,
      spansDropped: tracing.dropped,
      accessLogDropped: () => accessLog.dropped() + output.dropped(),
    },
  })
  const tellExpiry = () => {
    metrics.setCertificateExpiry('workload', identity.current?.expiresAt ?? null)
    metrics.setCertificateExpiry('root', firstExpiryOf(identity.current?.roots ?? ''))
  }
  identity.subscribe(tellExpiry)
  tellExpiry()
  return {
    tracing,
    metrics,
    emit: fanOut([metrics.sink, accessLog], log, clock.now),
    async shutdown() {
      eventLoop.stop()
      accessLog.flush()
      await output.flushed()
      await tracing.shutdown()
    },
  }
}

/** Of the roots that are trusted, the one that ends first is the one to act on. */
function firstExpiryOf(roots: string): Date | null {
  const blocks = roots.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
  const ends = blocks.map((pem) => new X509Certificate(pem).validToDate.getTime())
  return ends.length === 0 ? null : new Date(Math.min(...ends))
}
