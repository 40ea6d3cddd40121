import { expect, test } from 'vitest'
import { createControlMetrics } from './metrics.ts'

const NOTHING = { sidecars: 0, isLeader: undefined, kinds: [], gatewayApi: undefined }
const lines = (page: string) => page.split('\n').filter((line) => line !== '' && !line.startsWith('#'))

test('what is true at the moment is told as it is asked', () => {
  const metrics = createControlMetrics()
  const kinds = [
    { kind: 'pods', isSynced: true, objects: 12 },
    { kind: 'httproutes', isSynced: false, objects: 0 },
  ]
  const page = lines(
    metrics.render({ sidecars: 3, isLeader: true, kinds, gatewayApi: { version: 'v1.6.3', channel: 'standard' } }),
  )
  expect(page.slice(0, 7)).toEqual([
    'weft_control_sidecars 3',
    'weft_control_leader 1',
    'weft_control_informer_synced{kind="pods"} 1',
    'weft_control_informer_synced{kind="httproutes"} 0',
    'weft_control_objects{kind="pods"} 12',
    'weft_control_objects{kind="httproutes"} 0',
    'weft_control_gateway_api_info{version="v1.6.3",channel="standard"} 1',
  ])
})

test('where the configuration is files there is no leader and no kind', () => {
  const page = lines(createControlMetrics().render(NOTHING))
  expect(page.filter((line) => /leader|informer|objects|gateway/.test(line))).toEqual([])
})

test('compilations, reviews and writes are counted by how they ended', () => {
  const metrics = createControlMetrics()
  metrics.onCompiled(30)
  metrics.onReview('denied', 2)
  metrics.onReview('too_many', 1)
  metrics.onWrite('conflict')
  const page = lines(metrics.render(NOTHING))
  for (const line of [
    'weft_control_compile_duration_seconds_bucket{le="0.025"} 0',
    'weft_control_compile_duration_seconds_bucket{le="0.05"} 1',
    'weft_control_reviews_total{outcome="accepted"} 0',
    'weft_control_reviews_total{outcome="denied"} 1',
    'weft_control_reviews_total{outcome="too_many"} 1',
    'weft_control_review_duration_seconds_count 2',
    'weft_control_status_writes_total{outcome="written"} 0',
    'weft_control_status_writes_total{outcome="conflict"} 1',
  ])
    expect(page).toContain(line)
})
