// What operators want to know of the webhook: how long reviews take, how they end, when its certificate does.
import { joinLines, toSeconds, writeMetric } from '#shared/prometheus.ts'
import { createReviewMetrics } from '#shared/webhook/review-metrics.ts'
import type { Unjudged } from '#shared/webhook/server.ts'
import type { Outcome } from './admit.ts'

export interface InjectorMetrics {
  observe(outcome: Outcome | Unjudged, durationMs: number): void
  /** Text exposition 0.0.4. */
  render(): string
}

const OUTCOMES: readonly Outcome[] = ['injected', 'skipped', 'refused', 'failed']

export function createInjectorMetrics(certificateExpiry: () => Date): InjectorMetrics {
  const reviews = createReviewMetrics('weft_injector', OUTCOMES)
  const expiry = () =>
    writeMetric(
      'gauge',
      'weft_injector_certificate_expiry_timestamp_seconds',
      'When the certificate of the webhook ends.',
      [[{}, toSeconds(certificateExpiry())]],
    )
  return { observe: reviews.observe, render: () => joinLines(reviews.lines(), expiry()) }
}
