// What operators want to know of the webhook: how long reviews take, how they end, when its certificate does.
import type { Outcome } from './admit.ts'

export type Counted = Outcome | 'bad_request' | 'too_many'

export interface InjectorMetrics {
  observe(outcome: Counted, durationMs: number): void
  /** Text exposition 0.0.4. */
  render(): string
}

/** Seconds; the aim is a 99th percentile of 0.05. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]
const OUTCOMES: readonly Counted[] = ['injected', 'skipped', 'refused', 'failed', 'bad_request', 'too_many']

export function createInjectorMetrics(certificateExpiry: () => Date): InjectorMetrics {
  const counts = new Map(OUTCOMES.map((outcome) => [outcome, 0]))
  const buckets = BUCKETS.map(() => 0)
  let sum = 0
  let total = 0
  return {
    observe(outcome, durationMs) {
      const seconds = durationMs / 1000
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1)
      total++
      sum += seconds
      for (const [index, bound] of BUCKETS.entries()) if (seconds <= bound) buckets[index] = (buckets[index] ?? 0) + 1
    },
    render() {
      const name = 'weft_injector_review_duration_seconds'
      return [
        '# HELP weft_injector_reviews_total Reviews by how they ended.',
        '# TYPE weft_injector_reviews_total counter',
        ...OUTCOMES.map((outcome) => `weft_injector_reviews_total{outcome="${outcome}"} ${counts.get(outcome)}`),
        `# HELP ${name} From the first byte of a request to the last of its answer being written.`,
        `# TYPE ${name} histogram`,
        ...BUCKETS.map((bound, index) => `${name}_bucket{le="${bound}"} ${buckets[index]}`),
        `${name}_bucket{le="+Inf"} ${total}`,
        `${name}_sum ${sum}`,
        `${name}_count ${total}`,
        '# HELP weft_injector_certificate_expiry_timestamp_seconds When the certificate of the webhook ends.',
        '# TYPE weft_injector_certificate_expiry_timestamp_seconds gauge',
        `weft_injector_certificate_expiry_timestamp_seconds ${Math.floor(certificateExpiry().getTime() / 1000)}`,
        '',
      ].join('\n')
    },
  }
}
