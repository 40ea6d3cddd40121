import { expect, test } from 'vitest'
import { createCounter, createHistogram, joinLines, writeMetric } from './prometheus.ts'

test('a counter has all its values from the start', () => {
  const counter = createCounter('a_total', 'Things.', { label: 'outcome', values: ['good', 'bad'] })
  counter.count('good')
  counter.count('good')
  expect(joinLines(counter.lines())).toBe(
    '# HELP a_total Things.\n# TYPE a_total counter\na_total{outcome="good"} 2\na_total{outcome="bad"} 0\n',
  )
})

test('a histogram counts each duration in every bucket that holds it', () => {
  const histogram = createHistogram('a_seconds', 'How long.')
  for (const durationMs of [2, 40, 9000]) histogram.observe(durationMs)
  const lines = histogram.lines()
  expect(lines).toContain('a_seconds_bucket{le="0.001"} 0')
  expect(lines).toContain('a_seconds_bucket{le="0.0025"} 1')
  expect(lines).toContain('a_seconds_bucket{le="0.05"} 2')
  expect(lines).toContain('a_seconds_bucket{le="5"} 2')
  expect(lines.slice(-3)).toEqual(['a_seconds_bucket{le="+Inf"} 3', 'a_seconds_sum 9.042', 'a_seconds_count 3'])
})

test('a value of a label cannot end its line', () => {
  const [, , line] = writeMetric('gauge', 'a', 'One.', [[{ name: 'a"b\\c\nd' }, 1]])
  expect(line).toBe('a{name="a\\"b\\\\c\\nd"} 1')
})

test('a metric without samples is not there', () => {
  expect(writeMetric('gauge', 'a', 'One.', [])).toEqual([])
})
