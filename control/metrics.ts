// What control counts, for Prometheus: of this replica alone, as all that it does.
import { createCounter, createHistogram, joinLines, type Sample, writeMetric } from '#shared/prometheus.ts'
import { createReviewMetrics } from '#shared/webhook/review-metrics.ts'
import type { Unjudged } from '#shared/webhook/server.ts'
import type { WriteOutcome } from './status-writer/writer.ts'
import type { Outcome } from './validate/admit.ts'

export interface ControlMetrics {
  onCompiled(durationMs: number): void
  onReview(outcome: Outcome | Unjudged, durationMs: number): void
  onWrite(outcome: WriteOutcome): void
  /** Text exposition 0.0.4. */
  render(now: Standing): string
}

/** What is true at the moment. */
export interface Standing {
  /** Sidecars that are connected to this replica. */
  readonly sidecars: number
  /** undefined: there are no replicas among which one would lead. */
  readonly isLeader: boolean | undefined
  /** undefined: not known, not installed, or not asked for. */
  readonly gatewayApi: { readonly version: string; readonly channel: string } | undefined
  /** What is read from the API server; none where the configuration is files. */
  readonly kinds: readonly KindStanding[]
}

export interface KindStanding {
  /** "httproutes" */
  readonly kind: string
  readonly isSynced: boolean
  readonly objects: number
}

const OUTCOMES: readonly Outcome[] = ['accepted', 'warned', 'denied', 'skipped', 'failed']

export function createControlMetrics(): ControlMetrics {
  const compilations = createHistogram(
    'weft_control_compile_duration_seconds',
    'How long a change took to compile; the first is all there is.',
  )
  const reviews = createReviewMetrics('weft_control', OUTCOMES)
  const writes = createCounter<WriteOutcome>('weft_control_status_writes_total', 'Statuses written to objects.', {
    label: 'outcome',
    values: ['written', 'conflict', 'failed'],
  })
  return {
    onCompiled: compilations.observe,
    onReview: reviews.observe,
    onWrite: writes.count,
    render: (now) => joinLines(gauges(now), compilations.lines(), reviews.lines(), writes.lines()),
  }
}

function gauges({ sidecars, isLeader, kinds, gatewayApi }: Standing): readonly string[] {
  const byKind = (numberOf: (standing: KindStanding) => number) =>
    kinds.map((standing): Sample => [{ kind: standing.kind }, numberOf(standing)])
  return [
    ...writeMetric('gauge', 'weft_control_sidecars', 'Sidecars that are connected to this replica.', [[{}, sidecars]]),
    ...writeMetric(
      'gauge',
      'weft_control_leader',
      'Whether this replica writes status: 1 on one of all.',
      isLeader === undefined ? [] : [[{}, Number(isLeader)]],
    ),
    ...writeMetric(
      'gauge',
      'weft_control_informer_synced',
      'Whether the kind has been listed and can be read at the moment.',
      byKind(({ isSynced }) => Number(isSynced)),
    ),
    ...writeMetric(
      'gauge',
      'weft_control_objects',
      'Objects of the kind that are known.',
      byKind(({ objects }) => objects),
    ),
    ...writeMetric(
      'gauge',
      'weft_control_gateway_api_info',
      'Which CRDs of the Gateway API are installed; always 1.',
      gatewayApi === undefined ? [] : [[{ version: gatewayApi.version, channel: gatewayApi.channel }, 1]],
    ),
  ]
}
