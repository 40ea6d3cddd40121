// What certs counts, for Prometheus.
import { createCounter, joinLines, toSeconds, writeMetric } from '#shared/prometheus.ts'
import type { Watch } from '#shared/watch.ts'
import type { Authority } from './authority.ts'

/** issued; refused: for a fault of the caller; unavailable: certs could not tell; failed: a fault of certs. */
export type Outcome = 'issued' | 'refused' | 'unavailable' | 'failed'

export interface Metrics {
  count(outcome: Outcome): void
  render(): string
}

export function createMetrics(authority: Watch<Authority>): Metrics {
  const requests = createCounter<Outcome>(
    'weft_certs_requests_total',
    'Requests for a certificate, by what came of them.',
    { label: 'outcome', values: ['issued', 'refused', 'unavailable', 'failed'] },
  )
  const expiry = () =>
    writeMetric(
      'gauge',
      'weft_certs_root_expiry_timestamp_seconds',
      'When the root, or the intermediate that signs, ends.',
      [[{}, toSeconds(authority.current.endsAt)]],
    )
  return { count: requests.count, render: () => joinLines(requests.lines(), expiry()) }
}
