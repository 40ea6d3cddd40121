import { expect, test } from 'vitest'
import type { FaultCode } from '#flow/error.ts'
import { RecordingExchange } from './exchange.fixture.ts'
import { retryStale } from './retry-stale.ts'

interface Case {
  method?: string
  code?: FaultCode
  isReused?: boolean
  isReplayable?: boolean
  tries?: number
}

function verdictOn({
  method = 'GET',
  code = 'UPSTREAM_CLOSED',
  isReused = true,
  isReplayable = true,
  tries = 1,
}: Case) {
  const recording = new RecordingExchange(method)
  recording.exchange.isReplayable = isReplayable
  for (let i = 1; i < tries; i++) recording.addAttempt()
  const attempt = recording.addAttempt()
  attempt.isReused = isReused
  return retryStale.onAttemptFailed?.(recording.exchange, attempt, code)
}

test('a request that met a stale connection is tried once more', () => {
  expect(verdictOn({})).toBe('retry')
  expect(verdictOn({ tries: 2 })).toBe('continue')
})

test.each<[string, Case]>([
  ['that may not be repeated', { method: 'POST' }],
  ['on a connection of its own', { isReused: false }],
  ['whose body is no longer kept', { isReplayable: false }],
  ['that failed otherwise', { code: 'UPSTREAM_PROTOCOL' }],
])('a request %s is not', (_what, given) => {
  expect(verdictOn(given)).toBe('continue')
})
