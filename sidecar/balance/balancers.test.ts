// What every balancer must do; each one's own habits are in its own test.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Balancer, Endpoint, Picker } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import { seededRandom } from '#shared/seeded-random.ts'
import { makeEndpoint, makeEndpoints } from './endpoint.fixture.ts'
import { createLeastRequest } from './least-request.ts'
import { createRoundRobin } from './round-robin.ts'
import { AffinityMemory, withSessionAffinity } from './session-affinity.ts'

const PICKS = 20_000

function countPicks(picker: Picker, picks: number): Map<Endpoint, number> {
  const counts = new Map<Endpoint, number>()
  for (let i = 0; i < picks; i++) {
    const endpoint = picker.pick(0, [])
    if (endpoint !== undefined) counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
  }
  return counts
}

function testBalancer(name: string, create: (random: () => number) => Balancer): void {
  describe(name, () => {
    test('picks nothing from nothing', () => {
      const balance = create(seededRandom(1))
      expect(balance([]).pick(0, [])).toBeUndefined()
      expect(balance(makeEndpoints([0, 0])).pick(0, [])).toBeUndefined()
    })

    test('gives each endpoint its share by weight, and none to weight 0', () => {
      fc.assert(
        fc.property(
          fc.array(fc.integer({ min: 0, max: 100 }), { minLength: 1, maxLength: 12 }),
          fc.integer(),
          (weights, seed) => {
            const endpoints = makeEndpoints(weights)
            const total = weights.reduce((sum, weight) => sum + weight, 0)
            const counts = countPicks(create(seededRandom(seed))(endpoints), PICKS)
            for (const endpoint of endpoints) {
              const share = total === 0 ? 0 : endpoint.weight / total
              // Six standard deviations of a random draw: one in a billion.
              const tolerance = share === 0 ? 0 : 6 * Math.sqrt(PICKS * share * (1 - share)) + 2
              expect(Math.abs((counts.get(endpoint) ?? 0) - PICKS * share)).toBeLessThanOrEqual(tolerance)
            }
          },
        ),
        { numRuns: 60, seed: 7 },
      )
    })

    test('reaches every endpoint of a thousand', () => {
      const endpoints = Array.from({ length: 1000 }, (_, index) => makeEndpoint(index))
      expect(countPicks(create(seededRandom(3))(endpoints), PICKS).size).toBe(1000)
    })

    test('never picks what was tried while another is there, and picks something when all were tried', () => {
      const endpoints = makeEndpoints([1, 50, 3, 100])
      const picker = create(seededRandom(4))(endpoints)
      const [one, two, three, four] = endpoints as [Endpoint, Endpoint, Endpoint, Endpoint]
      for (let i = 0; i < 200; i++) {
        expect([one, three]).toContain(picker.pick(0, [two, four]))
        expect(picker.pick(0, [two, three, four])).toBe(one)
        expect(endpoints).toContain(picker.pick(0, endpoints))
      }
    })

    test('never picks weight 0 for a further try either', () => {
      const [off, on] = makeEndpoints([0, 1]) as [Endpoint, Endpoint]
      const picker = create(seededRandom(5))([off, on])
      for (let i = 0; i < 50; i++) expect(picker.pick(0, [on])).toBe(on)
    })

    test('shares fairly over many updates of the endpoints', () => {
      const endpoints = makeEndpoints([1, 1, 1, 1, 1])
      const balance = create(seededRandom(6))
      const counts = new Map<Endpoint | undefined, number>()
      for (let i = 0; i < 5000; i++) {
        const endpoint = balance([...endpoints]).pick(0, [])
        counts.set(endpoint, (counts.get(endpoint) ?? 0) + 1)
      }
      for (const endpoint of endpoints) expect(Math.abs((counts.get(endpoint) ?? 0) - 1000)).toBeLessThan(180)
    })

    test('a retry elsewhere does not hand the bad endpoint more than its share of first tries', () => {
      const [bad, good] = makeEndpoints([1, 1]) as [Endpoint, Endpoint]
      const picker = create(seededRandom(8))([bad, good])
      let firstTries = 0
      for (let i = 0; i < 2000; i++) {
        if (picker.pick(0, []) !== bad) continue
        firstTries++
        expect(picker.pick(0, [bad])).toBe(good)
      }
      expect(Math.abs(firstTries - 1000)).toBeLessThan(150)
    })
  })
}

testBalancer('round robin', createRoundRobin)
testBalancer('least request', (random) => createLeastRequest(() => ({ active: 0 }), random))
// With no time to keep an endpoint, each pick is that of another client, and must be shared as ever.
testBalancer('session affinity', (random) =>
  withSessionAffinity(createRoundRobin(random), {
    memory: new AffinityMemory(),
    timeoutMs: 0,
    clock: new ManualClock(),
  }),
)
