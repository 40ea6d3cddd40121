// Writes the Prometheus text exposition format 0.0.4
// (https://prometheus.io/docs/instrumenting/exposition_formats/). Label text comes ready from series.ts.
import { DURATION_BUCKETS, type Metric } from './metric-table.ts'

/** Counts per bucket, not cumulative; the last one is what is over the highest boundary. */
export interface Histogram {
  readonly buckets: Float64Array
  sum: number
  count: number
}

export function createHistogram(): Histogram {
  return { buckets: new Float64Array(DURATION_BUCKETS.length + 1), sum: 0, count: 0 }
}

export function observeSeconds(histogram: Histogram, seconds: number): void {
  let index = 0
  while (index < DURATION_BUCKETS.length && seconds > (DURATION_BUCKETS[index] as number)) index++
  histogram.buckets[index] = (histogram.buckets[index] as number) + 1
  histogram.sum += seconds
  histogram.count++
}

export interface Exposition {
  /** Values by label text; a family without samples is left out. */
  samples(metric: Metric, samples: Iterable<readonly [labels: string, value: number]>): void
  histograms(metric: Metric, samples: Iterable<readonly [labels: string, value: Histogram]>): void
  text(): string
}

export function createExposition(): Exposition {
  const lines: string[] = []

  function head(metric: Metric): void {
    lines.push(`# HELP ${metric.name} ${escapeHelp(metric.help)}`, `# TYPE ${metric.name} ${metric.type}`)
  }

  return {
    samples(metric, samples) {
      let isFirst = true
      for (const [labels, value] of samples) {
        if (isFirst) head(metric)
        isFirst = false
        lines.push(`${metric.name}${labels === '' ? '' : `{${labels}}`} ${formatNumber(value)}`)
      }
    },
    histograms(metric, samples) {
      let isFirst = true
      for (const [labels, histogram] of samples) {
        if (isFirst) head(metric)
        isFirst = false
        pushHistogram(lines, metric.name, labels, histogram)
      }
    },
    text: () => `${lines.join('\n')}\n`,
  }
}

const BOUNDARIES = [...DURATION_BUCKETS.map(String), '+Inf']

function pushHistogram(lines: string[], name: string, labels: string, histogram: Histogram): void {
  const prefix = labels === '' ? '' : `${labels},`
  let below = 0
  for (const [index, boundary] of BOUNDARIES.entries()) {
    below += histogram.buckets[index] as number
    lines.push(`${name}_bucket{${prefix}le="${boundary}"} ${below}`)
  }
  const braced = labels === '' ? '' : `{${labels}}`
  lines.push(`${name}_sum${braced} ${formatNumber(histogram.sum)}`, `${name}_count${braced} ${histogram.count}`)
}

function formatNumber(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  if (value === Number.POSITIVE_INFINITY) return '+Inf'
  if (value === Number.NEGATIVE_INFINITY) return '-Inf'
  return String(value)
}

function escapeHelp(help: string): string {
  return help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')
}
