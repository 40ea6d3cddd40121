import { expect, test } from 'vitest'
import type { Endpoint, Lease, Outcome } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import { seededRandom } from '#shared/seeded-random.ts'
import { Watched } from '#shared/watch.ts'
import { makeEndpoint, makeEndpoints } from './endpoint.fixture.ts'
import { createHealthTracker } from './health.ts'
import { createPool } from './pool.ts'
import { AffinityMemory } from './session-affinity.ts'

const OK: Outcome = { ok: true, fault: null, status: 200, durationMs: 1 }
const REFUSED: Outcome = { ok: false, fault: 'CONNECT_FAILED', status: 0, durationMs: 1 }

function start(weights: readonly number[], algorithm: 'RoundRobin' | 'LeastRequest' = 'RoundRobin', isSticky = false) {
  const clock = new ManualClock()
  const endpoints = new Watched<readonly Endpoint[]>(makeEndpoints(weights))
  const health = createHealthTracker({ consecutiveFailures: 2 }, clock)
  const affinity = isSticky ? { memory: new AffinityMemory(), timeoutMs: 60_000, clock } : null
  const pool = createPool({ endpoints, policy: { algorithm }, health, affinity, random: seededRandom(5) })
  const leaseAll = (count: number) => Array.from({ length: count }, () => pool.lease(0, []) as Lease)
  const at = (index: number) => endpoints.current[index] as Endpoint
  /** Leases until each endpoint of `bad` is set aside. */
  const eject = (...bad: Endpoint[]) => {
    for (let i = 0; i < 40; i++) {
      const lease = pool.lease(0, [])
      lease?.done(bad.includes(lease.endpoint) ? REFUSED : OK)
    }
  }
  return { clock, endpoints, health, pool, leaseAll, at, eject }
}

const endpointsOf = (leases: readonly Lease[]) => new Set(leases.map((lease) => lease.endpoint))

test('there is nothing to lease from no endpoints', () => {
  expect(start([]).pool.lease(0, [])).toBeUndefined()
})

test.each(['RoundRobin', 'LeastRequest'] as const)('%s: a change of endpoints shows at the next lease', (algorithm) => {
  const { endpoints, leaseAll, at } = start([1, 1], algorithm)
  const removed = at(0)
  expect(endpointsOf(leaseAll(20))).toContain(removed)
  const added = makeEndpoint(9)
  endpoints.set([at(1), added])
  expect(endpointsOf(leaseAll(40))).toEqual(new Set([at(0), added]))
})

test('an endpoint that is set aside gets no lease until its time is over', () => {
  const { clock, leaseAll, at, eject } = start([1, 1, 1])
  eject(at(0))
  expect(endpointsOf(leaseAll(30))).toEqual(new Set([at(1), at(2)]))
  clock.advance(10_000)
  expect(endpointsOf(leaseAll(30)).size).toBe(3)
})

test('when every endpoint is set aside, all are used', () => {
  const { leaseAll, at, eject } = start([1, 1])
  eject(at(0), at(1))
  expect(endpointsOf(leaseAll(20)).size).toBe(2)
})

test('a lease counts until it is done, and done counts once', () => {
  const { pool, at } = start([1])
  const first = pool.lease(0, [])
  const second = pool.lease(0, [])
  expect(pool.active(at(0))).toBe(2)
  first?.done(OK)
  first?.done(OK)
  expect(pool.active(at(0))).toBe(1)
  second?.done(OK)
  expect(pool.active(at(0))).toBe(0)
})

test('a second outcome of one lease does not reach the health of the endpoint', () => {
  const { pool, health, at } = start([1])
  const lease = pool.lease(0, [])
  lease?.done(REFUSED)
  lease?.done(REFUSED)
  expect(health.isFit(at(0))).toBe(true)
})

test('least request sees the leases in flight, across updates of the endpoints', () => {
  const { pool, endpoints, at } = start([1, 1], 'LeastRequest')
  const busy = [pool.lease(0, [at(1)]), pool.lease(0, [at(1)])]
  expect(busy.map((lease) => lease?.endpoint)).toEqual([at(0), at(0)])
  endpoints.set([...endpoints.current])
  for (let i = 0; i < 20; i++) {
    const lease = pool.lease(0, [])
    expect(lease?.endpoint).toBe(at(1))
    lease?.done(OK)
  }
})

test('a lease of a removed endpoint can still be done', () => {
  const { pool, endpoints, at } = start([1])
  const removed = at(0)
  const lease = pool.lease(0, [])
  endpoints.set([])
  lease?.done(OK)
  expect(pool.active(removed)).toBe(0)
})

test('a further try goes to another endpoint', () => {
  const { pool, at } = start([1, 1, 1])
  for (let i = 0; i < 30; i++) expect(pool.lease(0, [at(0), at(2)])?.endpoint).toBe(at(1))
})

test('with session affinity an endpoint is kept until it is set aside, and so is the one in its place', () => {
  const { clock, pool, leaseAll, at, eject } = start([1, 1, 1], 'RoundRobin', true)
  const first = pool.lease(0, [])?.endpoint as Endpoint
  expect(endpointsOf(leaseAll(20))).toEqual(new Set([first]))
  eject(first)
  const second = pool.lease(0, [])?.endpoint as Endpoint
  expect(second).not.toBe(first)
  clock.advance(10_000)
  expect(endpointsOf(leaseAll(20))).toEqual(new Set([second]))
  eject(at(0), at(1), at(2))
  expect(endpointsOf(leaseAll(20)).size).toBe(1)
})

test('a closed pool no longer follows its endpoints', () => {
  const { pool, endpoints, at } = start([1])
  const before = at(0)
  pool.lease(0, [])
  pool.close()
  endpoints.set([makeEndpoint(7)])
  expect(pool.lease(0, [])?.endpoint).toBe(before)
})
