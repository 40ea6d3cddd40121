import { expect, test } from 'vitest'
import type { FaultCode } from '#flow/error.ts'
import type { Endpoint, Outcome } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import { makeEndpoint } from './endpoint.fixture.ts'
import { createHealthTracker, judge } from './health.ts'

const endpoint = makeEndpoint(1)
const answered = (status: number): Outcome => ({ ok: status < 500, fault: null, status, durationMs: 1 })
const failed = (fault: FaultCode): Outcome => ({ ok: false, fault, status: 0, durationMs: 1 })
const abandoned: Outcome = { ok: false, fault: null, status: 0, durationMs: 1 }

function start(consecutiveFailures = 3) {
  const clock = new ManualClock()
  const health = createHealthTracker({ consecutiveFailures }, clock)
  const changes: [Endpoint, boolean][] = []
  health.onChange((changed, isFit) => changes.push([changed, isFit]))
  const observe = (outcome: Outcome, times = 1) => {
    for (let i = 0; i < times; i++) health.observe(endpoint, outcome)
  }
  return { clock, health, changes, observe }
}

test.each<[Outcome, ReturnType<typeof judge>]>([
  [answered(200), 'success'],
  [answered(404), 'success'],
  [answered(429), 'success'],
  [answered(500), 'failure'],
  [answered(503), 'failure'],
  [failed('CONNECT_FAILED'), 'failure'],
  [failed('CONNECT_TIMEOUT'), 'failure'],
  [failed('UPSTREAM_CLOSED'), 'failure'],
  [failed('PEER_IDENTITY'), 'failure'],
  [failed('TRY_TIMEOUT'), 'failure'],
  [{ ...answered(200), fault: 'UPSTREAM_CLOSED' }, 'failure'],
  [failed('IDLE_TIMEOUT'), 'neither'],
  [failed('BREAKER_OPEN'), 'neither'],
  [abandoned, 'neither'],
  [{ ...abandoned, ok: true }, 'success'],
])('%o says %s of the endpoint', (outcome, verdict) => {
  expect(judge(outcome)).toBe(verdict)
})

test('a run of failures sets an endpoint aside for ten seconds, and both changes are told', () => {
  const { clock, health, changes, observe } = start()
  observe(answered(503), 2)
  expect(health.isFit(endpoint)).toBe(true)
  observe(failed('CONNECT_FAILED'))
  expect(health.isFit(endpoint)).toBe(false)
  clock.advance(9_999)
  expect(health.isFit(endpoint)).toBe(false)
  clock.advance(1)
  expect(health.isFit(endpoint)).toBe(true)
  expect(changes).toEqual([
    [endpoint, false],
    [endpoint, true],
  ])
})

test('a success between failures ends the run; a client that left does not', () => {
  const { health, observe } = start()
  observe(answered(500), 2)
  observe(answered(404))
  observe(answered(500), 2)
  expect(health.isFit(endpoint)).toBe(true)
  observe(abandoned)
  observe(answered(500))
  expect(health.isFit(endpoint)).toBe(false)
})

test('an endpoint that fails again on its return is set aside at once, for twice as long, up to five minutes', () => {
  const { clock, health, observe } = start()
  observe(answered(500), 3)
  const lengths: number[] = []
  for (let i = 0; i < 8; i++) {
    const from = clock.now()
    while (!health.isFit(endpoint)) clock.advance(1000)
    lengths.push((clock.now() - from) / 1000)
    observe(answered(500))
  }
  expect(lengths).toEqual([10, 20, 40, 80, 160, 300, 300, 300])
})

test('after as long in good standing as the ejection lasted, the doubling is forgotten', () => {
  const { clock, health, observe } = start()
  observe(answered(500), 3)
  clock.advance(10_000)
  observe(answered(500))
  clock.advance(20_000)
  observe(answered(200))
  clock.advance(20_000)
  observe(answered(200))
  observe(answered(500), 3)
  clock.advance(10_000)
  expect(health.isFit(endpoint)).toBe(true)
})

test('a success right after the return does not make up for the ejection', () => {
  const { clock, health, observe } = start()
  observe(answered(500), 3)
  clock.advance(10_000)
  observe(answered(200))
  observe(answered(500), 3)
  clock.advance(19_999)
  expect(health.isFit(endpoint)).toBe(false)
  clock.advance(1)
  expect(health.isFit(endpoint)).toBe(true)
})

test('what was sent before the ejection neither ends nor prolongs it', () => {
  const { clock, changes, observe } = start()
  observe(answered(500), 3)
  observe(answered(500), 10)
  observe(answered(200))
  expect(changes).toEqual([[endpoint, false]])
  clock.advance(10_000)
  clock.advance(600_000)
  expect(changes).toEqual([
    [endpoint, false],
    [endpoint, true],
  ])
})

test('zero consecutive failures turns ejection off', () => {
  const { health, observe } = start(0)
  observe(answered(500), 100)
  expect(health.isFit(endpoint)).toBe(true)
})

test('endpoints are judged apart', () => {
  const { health, observe } = start()
  observe(answered(500), 3)
  expect(health.isFit(makeEndpoint(2))).toBe(true)
})

test('a closed tracker tells nothing more', () => {
  const { clock, health, changes, observe } = start()
  observe(answered(500), 3)
  health.close()
  clock.advance(60_000)
  expect(changes).toEqual([[endpoint, false]])
  expect(health.isFit(endpoint)).toBe(false)
})
