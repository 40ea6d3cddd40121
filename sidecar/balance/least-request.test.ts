import { expect, test } from 'vitest'
import type { Endpoint } from '#flow/upstream.ts'
import { seededRandom } from '#shared/seeded-random.ts'
import { makeEndpoints } from './endpoint.fixture.ts'
import { createLeastRequest } from './least-request.ts'
import type { Standing } from './standing.ts'

function createBalancerWithLoad(active: readonly number[], weights = active.map(() => 1)) {
  const endpoints = makeEndpoints(weights)
  const standings = new Map<Endpoint, Standing>(endpoints.map((e, index) => [e, { active: active[index] ?? 0 }]))
  const standingOf = (endpoint: Endpoint) => standings.get(endpoint) ?? { active: 0 }
  const picker = createLeastRequest(standingOf, seededRandom(11))(endpoints)
  const sharesOf = (picks: number) => {
    const counts = endpoints.map(() => 0)
    for (let i = 0; i < picks; i++) {
      const index = endpoints.indexOf(picker.pick(0, []) as Endpoint)
      counts[index] = (counts[index] ?? 0) + 1
    }
    return counts.map((count) => count / picks)
  }
  return { endpoints, standings, picker, sharesOf }
}

test('of two endpoints the less busy one is always taken', () => {
  expect(createBalancerWithLoad([1, 0]).sharesOf(500)).toEqual([0, 1])
})

test('the busiest of many is never taken, the others are', () => {
  const [busy, ...rest] = createBalancerWithLoad([9, 0, 0, 0]).sharesOf(3000)
  expect(busy).toBe(0)
  for (const share of rest) expect(share).toBeGreaterThan(0.28)
})

test('load is judged for its weight: ten requests are less for weight 100 than one for weight 1', () => {
  const { picker, endpoints } = createBalancerWithLoad([10, 1], [100, 1])
  const light = Array.from({ length: 500 }, () => picker.pick(0, [])).filter((endpoint) => endpoint === endpoints[1])
  // Only when both draws fall on it.
  expect(light.length).toBeLessThanOrEqual(2)
})

test('a slow endpoint gets fewer requests than round robin would give it', () => {
  const { endpoints, standings, picker } = createBalancerWithLoad([0, 0, 0, 0])
  const inFlight: { endpoint: Endpoint; endsAt: number }[] = []
  let slow = 0
  for (let now = 0; now < 4000; now++) {
    for (const request of inFlight.filter((one) => one.endsAt === now)) {
      const standing = standings.get(request.endpoint)
      if (standing !== undefined) standing.active--
    }
    const endpoint = picker.pick(0, []) as Endpoint
    const isSlow = endpoint === endpoints[0]
    if (isSlow) slow++
    const standing = standings.get(endpoint)
    if (standing !== undefined) standing.active++
    inFlight.push({ endpoint, endsAt: now + (isSlow ? 100 : 5) })
  }
  expect(slow / 4000).toBeLessThan(0.1)
})
