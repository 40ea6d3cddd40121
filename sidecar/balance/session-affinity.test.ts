import { describe, expect, test } from 'vitest'
import type { Balancer, Endpoint } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import { seededRandom } from '#shared/seeded-random.ts'
import { makeEndpoint, makeEndpoints } from './endpoint.fixture.ts'
import { createLeastRequest } from './least-request.ts'
import { createRoundRobin } from './round-robin.ts'
import { AffinityMemories, AffinityMemory, withSessionAffinity } from './session-affinity.ts'

const TIMEOUT_MS = 10_000

const SPREADS: readonly (readonly [string, (random: () => number) => Balancer])[] = [
  ['round robin', createRoundRobin],
  ['least request', (random) => createLeastRequest(() => ({ active: 0 }), random)],
]

describe.each(SPREADS)('over %s', (_, spread) => {
  function start(memory = new AffinityMemory(), seed = 1) {
    const clock = new ManualClock()
    const balance = withSessionAffinity(spread(seededRandom(seed)), { memory, timeoutMs: TIMEOUT_MS, clock })
    return { clock, memory, balance }
  }
  const endpoints = makeEndpoints([1, 1, 1, 1])
  const without = (one: Endpoint | undefined) => endpoints.filter((endpoint) => endpoint !== one)

  test('what was picked first is picked always', () => {
    const picker = start().balance(endpoints)
    const picks = Array.from({ length: 100 }, () => picker.pick(0, []))
    expect(new Set(picks).size).toBe(1)
  })

  test('pods choose by themselves, so that a service is shared by all of them', () => {
    const firsts = Array.from({ length: 60 }, (_each, seed) =>
      start(new AffinityMemory(), seed).balance(endpoints).pick(0, []),
    )
    expect(new Set(firsts).size).toBe(4)
  })

  test('other endpoints may come and go, and those of a new list may be other objects', () => {
    const { balance } = start()
    const kept = balance(endpoints).pick(0, [])
    expect(balance([makeEndpoint(9), ...endpoints]).pick(0, [])).toBe(kept)
    const again = endpoints.map((endpoint) => ({ ...endpoint, address: { ...endpoint.address } }))
    expect(balance(again).pick(0, [])?.address).toEqual(kept?.address)
  })

  test('when it is gone another is picked and kept, even after the first has come back', () => {
    const { balance } = start()
    const first = balance(endpoints).pick(0, [])
    const second = balance(without(first)).pick(0, [])
    expect(second).toBeDefined()
    expect(second).not.toBe(first)
    const picker = balance(endpoints)
    for (let i = 0; i < 20; i++) expect(picker.pick(0, [])).toBe(second)
  })

  test('a further try moves on for good', () => {
    const picker = start().balance(endpoints)
    const first = picker.pick(0, []) as Endpoint
    const second = picker.pick(0, [first]) as Endpoint
    expect(second).not.toBe(first)
    for (let i = 0; i < 20; i++) expect(picker.pick(0, [])).toBe(second)
  })

  test('it is kept as long as it is used within the timeout, and no longer', () => {
    const memory = new AffinityMemory()
    const { clock, balance } = start(memory)
    const picker = balance(endpoints)
    const kept = picker.pick(0, [])
    for (let i = 0; i < 10; i++) {
      clock.advance(TIMEOUT_MS - 1)
      expect(picker.pick(0, [])).toBe(kept)
    }
    const afterQuiet = Array.from({ length: 20 }, () => {
      clock.advance(TIMEOUT_MS)
      return picker.pick(0, [])
    })
    expect(new Set(afterQuiet).size).toBeGreaterThan(1)
  })

  test('an endpoint whose weight has become 0 is left', () => {
    const { balance } = start()
    const first = balance(endpoints).pick(0, [])
    const drained = endpoints.map((endpoint) => (endpoint === first ? { ...endpoint, weight: 0 } : endpoint))
    const second = balance(drained).pick(0, [])
    expect(without(first)).toContain(second)
  })

  test('two ways to one backend keep to the same endpoint, also when one of them moves on', () => {
    const memory = new AffinityMemory()
    const [one, other] = [start(memory, 1).balance(endpoints), start(memory, 2).balance(endpoints)]
    const first = one.pick(0, []) as Endpoint
    expect(other.pick(0, [])).toBe(first)
    const second = other.pick(0, [first])
    expect(one.pick(0, [])).toBe(second)
  })

  test('the two address families are kept apart', () => {
    const { balance } = start()
    const six = endpoints.map((endpoint, index) => ({
      ...endpoint,
      address: { host: `fd00::${index + 1}`, port: 8080 },
    }))
    const [picker4, picker6] = [balance(endpoints), balance(six)]
    const [kept4, kept6] = [picker4.pick(0, []), picker6.pick(0, [])]
    for (let i = 0; i < 10; i++) expect([picker4.pick(0, []), picker6.pick(0, [])]).toEqual([kept4, kept6])
  })
})

test('backends have memories of their own, which last until others have taken their place', () => {
  const memories = new AffinityMemories(2)
  const catalog = memories.of('shop/catalog:80')
  expect(memories.of('shop/cart:80')).not.toBe(catalog)
  expect(memories.of('shop/catalog:80')).toBe(catalog)
  memories.of('shop/a:80')
  memories.of('shop/b:80')
  expect(memories.of('shop/catalog:80')).not.toBe(catalog)
})
