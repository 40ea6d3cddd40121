// What operators want to know of a webhook: how its reviews end, and how long they take.
import { createCounter, createHistogram } from '#shared/prometheus.ts'
import type { Unjudged } from './server.ts'

export interface ReviewMetrics<Outcome extends string> {
  observe(outcome: Outcome | Unjudged, durationMs: number): void
  lines(): readonly string[]
}

/** `prefix`: "weft_injector". */
export function createReviewMetrics<Outcome extends string>(
  prefix: string,
  outcomes: readonly Outcome[],
): ReviewMetrics<Outcome> {
  const values: readonly (Outcome | Unjudged)[] = [...outcomes, 'bad_request', 'too_many']
  const counter = createCounter(`${prefix}_reviews_total`, 'Reviews by how they ended.', { label: 'outcome', values })
  const histogram = createHistogram(
    `${prefix}_review_duration_seconds`,
    'From the first byte of a request to the last of its answer being written.',
  )
  return {
    observe(outcome, durationMs) {
      counter.count(outcome)
      histogram.observe(durationMs)
    },
    lines: () => [...counter.lines(), ...histogram.lines()],
  }
}
