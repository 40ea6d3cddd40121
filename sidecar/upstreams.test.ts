// What lasts when backends come and go.
import { expect, test } from 'vitest'
import type { Endpoint } from '#flow/upstream.ts'
import { ManualClock } from '#shared/clock.ts'
import type { BackendConfig } from '#shared/decide/config.ts'
import { seededRandom } from '#shared/seeded-random.ts'
import { Watched } from '#shared/watch.ts'
import { createUpstreams } from './upstreams.ts'

const HOURS_MS = 3_600_000

function start() {
  const clock = new ManualClock()
  const upstreams = createUpstreams({
    dial: () => Promise.reject(new Error('nothing is dialled here')),
    originate: () => Promise.reject(new Error('nothing is dialled here')),
    isSelf: () => false,
    handToSelf: () => {},
    peerIdleMs: 90_000,
    peerConnections: 4,
    applicationIdleMs: 4_000,
    httpVersion: () => undefined,
    clock,
    random: seededRandom(1),
  })
  return { clock, upstreams }
}

/** Of discovery anew each time: equal, and not the same objects. */
const endpoints = () =>
  new Watched(
    Array.from({ length: 20 }, (_, at): Endpoint => {
      return { address: { host: `10.244.0.${at + 1}`, port: 8080 }, weight: 1, identity: null, pod: `shop/pod-${at}` }
    }),
  )

const config = (name: string, sessionAffinityMs?: number): BackendConfig => ({
  key: `shop/${name}:80`,
  service: { namespace: 'shop', name, port: 80 },
  policy: {
    algorithm: 'RoundRobin',
    connectTimeoutMs: 1000,
    consecutiveFailures: 5,
    from: [],
    ...(sessionAffinityMs !== undefined && { sessionAffinityMs }),
  },
})

test('the endpoint of a session is kept while its destination is idle and dropped, until the timeout of the service', () => {
  const { clock, upstreams } = start()
  const lease = () => {
    const backend = upstreams.createBackend(config('catalog', 3 * HOURS_MS), endpoints())
    const pod = backend.lease(0, [])?.endpoint.pod
    backend.close()
    return pod
  }
  const first = lease()
  clock.advance(2 * HOURS_MS)
  expect(lease()).toBe(first)
  clock.advance(2 * HOURS_MS)
  expect(lease()).toBe(first)
  clock.advance(3 * HOURS_MS)
  expect(lease()).not.toBe(first)
})

test('two destinations that lead to one backend keep to one endpoint, other backends to theirs', () => {
  const { upstreams } = start()
  const create = (name: string) => upstreams.createBackend(config(name, HOURS_MS), endpoints())
  const [straight, byRoute, other] = [create('catalog'), create('catalog'), create('cart')]
  const first = straight.lease(0, [])?.endpoint.pod
  for (let i = 0; i < 10; i++) expect(byRoute.lease(0, [])?.endpoint.pod).toBe(first)
  const others = new Set(Array.from({ length: 10 }, () => other.lease(0, [])?.endpoint.pod))
  expect(others.size).toBe(1)
  for (const backend of [straight, byRoute, other]) backend.close()
})

test('without session affinity nothing is kept', () => {
  const { upstreams } = start()
  const backend = upstreams.createBackend(config('catalog'), endpoints())
  expect(new Set(Array.from({ length: 20 }, () => backend.lease(0, [])?.endpoint.pod)).size).toBe(20)
  backend.close()
})
