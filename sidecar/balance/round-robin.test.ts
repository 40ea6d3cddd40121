import { expect, test } from 'vitest'
import { seededRandom } from '#shared/seeded-random.ts'
import { makeEndpoints } from './endpoint.fixture.ts'
import { createRoundRobin } from './round-robin.ts'

test('equal endpoints take strict turns', () => {
  const endpoints = makeEndpoints([2, 2, 2])
  const picker = createRoundRobin(seededRandom(1))(endpoints)
  const picks = Array.from({ length: 9 }, () => endpoints.indexOf(picker.pick(0, []) as (typeof endpoints)[0]))
  const [first = 0] = picks
  expect(picks).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8].map((turn) => (first + turn) % 3))
})

test('weights are exact over time, not only on average', () => {
  const endpoints = makeEndpoints([5, 1, 3])
  const picker = createRoundRobin(seededRandom(2))(endpoints)
  const counts = new Map(endpoints.map((endpoint) => [endpoint, 0]))
  for (let i = 0; i < 9000; i++) {
    const endpoint = picker.pick(0, [])
    if (endpoint !== undefined) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
  }
  const off = [5000, 1000, 3000].map((want, index) => Math.abs(want - ([...counts.values()][index] ?? 0)))
  expect(Math.max(...off)).toBeLessThanOrEqual(2)
})

test('the light endpoint of a canary is not served in bursts', () => {
  const endpoints = makeEndpoints([95, 5])
  const picker = createRoundRobin(seededRandom(3))(endpoints)
  let sinceLast = 0
  const gaps: number[] = []
  for (let i = 0; i < 2000; i++) {
    sinceLast++
    if (picker.pick(0, []) !== endpoints[1]) continue
    gaps.push(sinceLast)
    sinceLast = 0
  }
  expect(gaps.length).toBeGreaterThanOrEqual(98)
  for (const gap of gaps.slice(1)) expect(Math.abs(gap - 20)).toBeLessThanOrEqual(2)
})

test('many light endpoints are spread over the turns of a heavy one', () => {
  const endpoints = makeEndpoints([10, 1, 1, 1, 1])
  const picker = createRoundRobin(seededRandom(5))(endpoints)
  const picks = Array.from({ length: 1400 }, () => picker.pick(0, []) === endpoints[0])
  const lightInRow = picks.filter((isHeavy, index) => !isHeavy && index > 0 && picks[index - 1] === false)
  expect(picks.filter((isHeavy) => !isHeavy)).toHaveLength(400)
  expect(lightInRow).toEqual([])
})

test('a change of the endpoints does not send everyone back to the first', () => {
  const endpoints = makeEndpoints([1, 1, 1, 1])
  const balance = createRoundRobin(seededRandom(4))
  const picks = Array.from({ length: 8 }, () => balance([...endpoints]).pick(0, []))
  expect(new Set(picks).size).toBe(4)
})

test('different sidecars begin at different endpoints', () => {
  const endpoints = makeEndpoints([1, 1, 1, 1])
  const firsts = Array.from({ length: 40 }, (_, seed) => createRoundRobin(seededRandom(seed))(endpoints).pick(0, []))
  expect(new Set(firsts).size).toBe(4)
})
