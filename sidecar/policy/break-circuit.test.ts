import { expect, test } from 'vitest'
import type { FaultCode } from '#flow/error.ts'
import { createBreakCircuitStep } from './break-circuit.ts'
import type { Breaker } from './breaker.ts'
import { RecordingExchange } from './exchange.fixture.ts'

function start(options: { isOpen?: boolean; isProbe?: boolean } = {}) {
  const told: string[] = []
  const breaker: Breaker = {
    name: 'shop/catalog',
    state: 'closed',
    admit() {
      if (options.isOpen === true) return null
      const tell = (what: string) => () => void told.push(what)
      return {
        isProbe: options.isProbe === true,
        success: tell('success'),
        failure: tell('failure'),
        cancel: tell('cancel'),
      }
    },
    onState: () => () => {},
    close() {},
  }
  const step = createBreakCircuitStep(breaker)
  const recording = new RecordingExchange()
  const verdict = step.onRequest?.(recording.exchange)
  const end = (status: number, reason: FaultCode | null = null) => {
    recording.exchange.status = status
    recording.exchange.reason = reason
    step.onEnd?.(recording.exchange)
    return told
  }
  return { step, recording, exchange: recording.exchange, verdict, told, end }
}

test('an open breaker answers for the service and names it', () => {
  const { verdict, recording, end } = start({ isOpen: true })
  expect(verdict).toBe('answered')
  expect(recording.failures).toEqual([['BREAKER_OPEN', 'shop/catalog']])
  expect(end(503, 'BREAKER_OPEN')).toEqual([])
})

test.each<[number, FaultCode | null, string]>([
  [200, null, 'success'],
  [404, null, 'success'],
  [500, null, 'failure'],
  [503, null, 'failure'],
  [503, 'CONNECT_FAILED', 'failure'],
  [504, 'REQUEST_TIMEOUT', 'failure'],
  // The answer had begun when its end was lost.
  [200, 'UPSTREAM_CLOSED', 'failure'],
  [400, 'BAD_REQUEST', 'cancel'],
  // The client left before there was an answer.
  [0, null, 'cancel'],
])('status %i with reason %s is a %s', (status, reason, told) => {
  expect(start().end(status, reason)).toEqual([told])
})

test('a probe is judged by the head: an answer without an end must not hold the breaker half-open', () => {
  const { step, recording, exchange, told } = start({ isProbe: true })
  recording.addAttempt(200)
  step.onResponse?.(exchange)
  expect(told).toEqual(['success'])
})

test('a bad head of a probe may yet be retried, so its end decides', () => {
  const { step, recording, exchange, told, end } = start({ isProbe: true })
  recording.addAttempt(503)
  step.onResponse?.(exchange)
  expect(told).toEqual([])
  expect(end(200)).toEqual(['success'])
})

test.each([
  [0, 'success'],
  [5, 'success'],
  [12, 'success'],
  [2, 'failure'],
  [13, 'failure'],
  [14, 'failure'],
])('a call of gRPC that ended with status %d counts as a %s', (grpcStatus, counted) => {
  const { exchange, end } = start()
  exchange.grpcStatus = grpcStatus
  expect(end(200)).toEqual([counted])
})
