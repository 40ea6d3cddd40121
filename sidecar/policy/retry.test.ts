import { expect, test } from 'vitest'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { RetryPolicy } from '#shared/decide/config.ts'
import { DEFAULT_RETRIES, RecordingExchange } from './exchange.fixture.ts'
import { removeForeignReason } from './foreign-reason.ts'
import { createRetryStep } from './retry.ts'
import type { RetryBudget } from './retry-budget.ts'

function start(policy: Partial<RetryPolicy> = {}, left = 100) {
  const counts = { active: 0, left }
  const budget: RetryBudget = {
    onRequest: () => counts.active++,
    onRequestEnd: () => counts.active--,
    take: () => counts.left-- > 0,
  }
  const step = createRetryStep({ policy: { ...DEFAULT_RETRIES, ...policy }, budget, random: () => 0.5 })
  if (step === null) throw new Error('no step')
  /** The verdict on a try that failed with a fault. */
  const afterFault = (code: FaultCode, method: string, hasLeft: boolean) => {
    const { exchange, ...rest } = withAttempt(method)
    exchange.hasLeft = hasLeft
    return step.onAttemptFailed?.(exchange, rest.attempt, code)
  }
  /** The verdict on an answer of the endpoint. */
  const afterAnswer = (status: number, method: string, fields: string[] = [], isMeshed = true) => {
    const recording = new RecordingExchange(method)
    recording.addAttempt(status, isMeshed)
    recording.exchange.response = [':status', String(status), ...fields]
    return step.onResponse?.(recording.exchange)
  }
  return { step, counts, afterFault, afterAnswer }
}

function withAttempt(method = 'GET') {
  const recording = new RecordingExchange(method)
  const attempt = recording.addAttempt()
  return { exchange: recording.exchange, attempt, recording }
}

test('a connect failure is tried again whatever the method', () => {
  const { afterFault } = start()
  for (const method of ['GET', 'POST', 'PATCH', 'LOCK'])
    expect(afterFault('CONNECT_FAILED', method, false)).toBe('retry')
})

test('once a byte has left, only a method that may be repeated is', () => {
  const { afterFault } = start()
  expect(afterFault('UPSTREAM_CLOSED', 'GET', true)).toBe('retry')
  expect(afterFault('UPSTREAM_CLOSED', 'POST', true)).toBe('continue')
  expect(start({ methods: ['POST'] }).afterFault('UPSTREAM_CLOSED', 'POST', true)).toBe('retry')
})

test('a fault that another endpoint could not better is not tried again', () => {
  const { afterFault } = start()
  for (const code of Object.keys(FAULTS) as FaultCode[]) {
    expect(afterFault(code, 'GET', false)).toBe(FAULTS[code].retry ? 'retry' : 'continue')
  }
})

test('a status of the policy is tried again for a method that may be repeated', () => {
  const { afterAnswer } = start({ statuses: [503, 429] })
  expect(afterAnswer(503, 'GET')).toBe('retry')
  expect(afterAnswer(429, 'PUT')).toBe('retry')
  expect(afterAnswer(503, 'POST')).toBe('continue')
  expect(afterAnswer(500, 'GET')).toBe('continue')
  expect(afterAnswer(200, 'GET')).toBe('continue')
})

test('a request that the sidecar of the endpoint says never reached its application is tried again, even a POST', () => {
  const { afterAnswer } = start({ statuses: [] })
  expect(afterAnswer(503, 'POST', ['x-weft-reason', 'CONNECT_FAILED'])).toBe('retry')
  expect(afterAnswer(503, 'POST', ['x-weft-reason', 'CONNECT_TIMEOUT'])).toBe('retry')
  expect(afterAnswer(502, 'POST', ['x-weft-reason', 'UPSTREAM_CLOSED'])).toBe('continue')
})

test('an endpoint without a proven identity is not believed that a POST never arrived', () => {
  expect(start().afterAnswer(503, 'POST', ['x-weft-reason', 'CONNECT_FAILED'], false)).toBe('continue')
})

test('inbound takes a reason that the application gives out of its answer', () => {
  const { exchange } = withAttempt()
  exchange.response = [':status', '503', 'X-Weft-Reason', 'CONNECT_FAILED', 'a', 'b']
  expect(removeForeignReason.onResponse?.(exchange)).toBe('continue')
  expect(exchange.response).toEqual([':status', '503', 'a', 'b'])
})

test('attempts are the further tries after the first', () => {
  const { step } = start({ attempts: 2 })
  const { exchange, attempt, recording } = withAttempt()
  const verdicts = [1, 2, 3].map(() => {
    const verdict = step.onAttemptFailed?.(exchange, attempt, 'CONNECT_FAILED')
    recording.addAttempt()
    return verdict
  })
  expect(verdicts).toEqual(['retry', 'retry', 'continue'])
})

test('nothing is tried again after a byte of an answer, nor when the body is no longer kept', () => {
  const { step } = start()
  const answered = withAttempt()
  answered.exchange.isAnswered = true
  expect(step.onAttemptFailed?.(answered.exchange, answered.attempt, 'UPSTREAM_CLOSED')).toBe('continue')
  const streamed = withAttempt()
  streamed.exchange.isReplayable = false
  expect(step.onAttemptFailed?.(streamed.exchange, streamed.attempt, 'UPSTREAM_CLOSED')).toBe('continue')
})

test('an empty budget means no retry, and what is not tried again costs no budget', () => {
  const { afterFault, counts } = start({}, 1)
  expect(afterFault('UPSTREAM_CLOSED', 'POST', true)).toBe('continue')
  expect(counts.left).toBe(1)
  expect(afterFault('CONNECT_FAILED', 'GET', false)).toBe('retry')
  expect(afterFault('CONNECT_FAILED', 'GET', false)).toBe('continue')
})

test('the first retry goes at once, the next wait for a random part of a base that doubles', () => {
  const { step } = start({ attempts: 10, backoffBaseMs: 100 })
  const { exchange, attempt, recording } = withAttempt()
  const delays = Array.from({ length: 8 }, () => {
    exchange.retryDelayMs = 0
    step.onAttemptFailed?.(exchange, attempt, 'CONNECT_FAILED')
    recording.addAttempt()
    return exchange.retryDelayMs
  })
  expect(delays).toEqual([0, 50, 100, 200, 400, 800, 800, 800])
})

test('after a connection that had gone stale the loop turns once, so that the pool learns of its like', () => {
  const { step } = start()
  const { exchange, attempt } = withAttempt()
  attempt.isReused = true
  expect(step.onAttemptFailed?.(exchange, attempt, 'UPSTREAM_CLOSED')).toBe('retry')
  expect(exchange.retryDelayMs).toBe(1)
})

test('each request counts in the budget from its start to its end', () => {
  const { step, counts } = start()
  const { exchange } = withAttempt()
  step.onRequest?.(exchange)
  expect(counts.active).toBe(1)
  step.onEnd?.(exchange)
  expect(counts.active).toBe(0)
})

test('a policy of no attempts needs no step', () => {
  const budget: RetryBudget = { onRequest() {}, onRequestEnd() {}, take: () => true }
  const policy = { ...DEFAULT_RETRIES, attempts: 0 }
  expect(createRetryStep({ policy, budget, random: Math.random })).toBeNull()
})

test('a call of gRPC is tried again for the statuses of the policy, whatever the method', () => {
  const verdictOn = (grpcStatus: number, grpcStatuses: readonly number[], fields: readonly string[] = []) => {
    const recording = new RecordingExchange('POST')
    recording.addAttempt(200, true, grpcStatus)
    recording.exchange.response = [':status', '200', 'grpc-status', String(grpcStatus), ...fields]
    return start({ grpcStatuses }).step.onResponse?.(recording.exchange)
  }
  expect(verdictOn(14, [14])).toBe('retry')
  expect(verdictOn(14, [])).toBe('continue')
  expect(verdictOn(5, [14])).toBe('continue')
  expect(verdictOn(0, [14])).toBe('continue')
  expect(verdictOn(14, [], ['x-weft-reason', 'CONNECT_FAILED'])).toBe('retry')
})
