import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { RecordingExchange } from './exchange.fixture.ts'
import { createTimeoutStep, type TimeoutConfig } from './timeout.ts'

const NONE: TimeoutConfig = { requestTimeoutMs: null, idleTimeoutMs: null, perTryTimeoutMs: null }

function start(config: Partial<TimeoutConfig>) {
  const clock = new ManualClock()
  const step = createTimeoutStep({ ...NONE, ...config }, clock)
  if (step === null) throw new Error('no step')
  const recording = new RecordingExchange()
  step.onRequest?.(recording.exchange)
  return { clock, step, recording, exchange: recording.exchange }
}

test('no limits need no step', () => {
  expect(createTimeoutStep(NONE, new ManualClock())).toBeNull()
})

test('a request that is not over in time fails with REQUEST_TIMEOUT, however busy it is', () => {
  const { clock, step, recording, exchange } = start({ requestTimeoutMs: 500 })
  for (let i = 0; i < 49; i++) {
    clock.advance(10)
    step.onActivity?.(exchange)
  }
  expect(recording.failures).toEqual([])
  clock.advance(10)
  expect(recording.failures).toEqual([['REQUEST_TIMEOUT', undefined]])
})

test('a request that ended in time does not fail later', () => {
  const { clock, step, recording, exchange } = start({ requestTimeoutMs: 500, idleTimeoutMs: 100, perTryTimeoutMs: 50 })
  step.onAttempt?.(exchange, recording.addAttempt(), [])
  step.onEnd?.(exchange)
  clock.advance(10_000)
  expect(recording.failures).toEqual([])
  expect(recording.failedAttempts).toEqual([])
})

test('a tunnel outlives the request timeout and not the idle timeout', () => {
  const { clock, step, recording, exchange } = start({ requestTimeoutMs: 500, idleTimeoutMs: 300 })
  exchange.status = 101
  for (let i = 0; i < 10; i++) {
    clock.advance(200)
    step.onActivity?.(exchange)
  }
  expect(recording.failures).toEqual([])
  clock.advance(300)
  expect(recording.failures).toEqual([['IDLE_TIMEOUT', undefined]])
})

test('each byte in either direction starts the idle time afresh', () => {
  const { clock, step, recording, exchange } = start({ idleTimeoutMs: 100 })
  clock.advance(90)
  step.onActivity?.(exchange)
  clock.advance(99)
  expect(recording.failures).toEqual([])
  clock.advance(1)
  expect(recording.failures).toEqual([['IDLE_TIMEOUT', undefined]])
})

test('activity after the end starts nothing', () => {
  const { clock, step, recording, exchange } = start({ idleTimeoutMs: 100 })
  step.onEnd?.(exchange)
  step.onActivity?.(exchange)
  clock.advance(1000)
  expect(recording.failures).toEqual([])
})

test('a try without a head in time fails alone, each try with a time of its own', () => {
  const { clock, step, recording, exchange } = start({ perTryTimeoutMs: 100 })
  step.onAttempt?.(exchange, recording.addAttempt(), [])
  clock.advance(60)
  step.onAttemptFailed?.(exchange, recording.addAttempt(), 'UPSTREAM_CLOSED')
  step.onAttempt?.(exchange, recording.addAttempt(), [])
  clock.advance(60)
  expect(recording.failedAttempts).toEqual([])
  clock.advance(40)
  expect(recording.failedAttempts).toEqual(['TRY_TIMEOUT'])
  expect(recording.failures).toEqual([])
})

test('the head of the endpoint ends the time of its try', () => {
  const { clock, step, recording, exchange } = start({ perTryTimeoutMs: 100 })
  step.onAttempt?.(exchange, recording.addAttempt(), [])
  step.onResponse?.(exchange)
  clock.advance(1000)
  expect(recording.failedAttempts).toEqual([])
})

test('a step has hooks only for what it limits', () => {
  expect(start({ requestTimeoutMs: 1 }).step.onActivity).toBeUndefined()
  expect(start({ requestTimeoutMs: 1 }).step.onResponse).toBeUndefined()
  expect(start({ idleTimeoutMs: 1 }).step.onAttempt).toBeUndefined()
})
