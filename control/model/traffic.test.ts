import { expect, test } from 'vitest'
import { USUAL_POLICY } from '#shared/decide/usual-policy.fixture.ts'
import { describeFaults, type Model } from './compile.ts'
import { CATALOG_ADDRESS, policy, route, shop } from './shop.fixture.ts'

const destination = (model: Model) => {
  const config = model.destination(CATALOG_ADDRESS, 'front')
  if (config === null) throw new Error('no destination')
  return config
}
const requestPolicy = (...policies: readonly string[]) => destination(shop(policies)).policy
const backendPolicy = (...policies: readonly string[]) => destination(shop(policies)).backends[0]?.policy

test('without a policy retries are safe and bounded, and there is no timeout but that of connecting', () => {
  expect(requestPolicy()).toEqual(USUAL_POLICY)
  expect(backendPolicy()).toEqual({
    algorithm: 'LeastRequest',
    connectTimeoutMs: 2000,
    consecutiveFailures: 5,
    betweenSidecars: 'HTTP2',
    from: [],
  })
})

test('a policy that asks for retries has statuses repeated too', () => {
  expect(requestPolicy(policy('p', 'retries: {}')).retries.statuses).toEqual([502, 503, 504])
  expect(requestPolicy(policy('p', 'retries: { statuses: [] }')).retries.statuses).toEqual([])
})

test('a section alone switches the circuit breaker on', () => {
  expect(requestPolicy(policy('p', 'circuitBreaker: {}')).circuitBreaker).toEqual({
    errorThresholdPercent: 50,
    volumeThreshold: 20,
    rollingWindowMs: 10_000,
    resetTimeoutMs: 5_000,
  })
})

test('every field arrives where it acts, with the policy that set it', () => {
  const all = policy(
    'all',
    `loadBalancing: { algorithm: RoundRobin },
     retries: { attempts: 4, statuses: [503], methods: [POST], grpcStatuses: [UNAVAILABLE, ABORTED], perTryTimeout: 1s, backoff: { base: 5ms }, budget: { percent: 50, minPerSecond: 9 } },
     timeouts: { connect: 250ms, request: 3s, idle: 1m },
     circuitBreaker: { errorThresholdPercent: 10, volumeThreshold: 2, rollingWindow: 1s, resetTimeout: 500ms },
     outlierDetection: { consecutiveFailures: 7 },
     connections: { betweenSidecars: HTTP1 }`,
  )
  const from = [{ kind: 'TrafficPolicy', namespace: 'shop', name: 'all' }]
  expect(requestPolicy(all)).toEqual({
    retries: {
      attempts: 4,
      statuses: [503],
      methods: ['POST'],
      grpcStatuses: [14, 10],
      perTryTimeoutMs: 1000,
      backoffBaseMs: 5,
      budgetPercent: 50,
      budgetMinPerSecond: 9,
    },
    requestTimeoutMs: 3000,
    idleTimeoutMs: 60_000,
    circuitBreaker: { errorThresholdPercent: 10, volumeThreshold: 2, rollingWindowMs: 1000, resetTimeoutMs: 500 },
    from,
  })
  expect(backendPolicy(all)).toEqual({
    algorithm: 'RoundRobin',
    connectTimeoutMs: 250,
    consecutiveFailures: 7,
    betweenSidecars: 'HTTP1',
    from,
  })
})

test('a policy on the backend acts on its endpoints, one on the addressed service on its requests', () => {
  const model = shop([
    route('r', '[{ backendRefs: [{ name: catalog-v2, port: 80 }] }]'),
    policy('v2', 'loadBalancing: { algorithm: RoundRobin }, timeouts: { request: 9s }', 'Service/catalog-v2'),
  ])
  expect(destination(model).backends.map(({ policy: { algorithm } }) => algorithm)).toEqual([
    'LeastRequest',
    'RoundRobin',
  ])
  expect(destination(model).rules[0]?.policy.requestTimeoutMs).toBeNull()
})

test('the rule beats the policy of its route, which beats that of the service, field by field', () => {
  const model = shop([
    route('r', '[{ timeouts: { request: 1s } }, { timeouts: { request: 0s, backendRequest: 2s } }, {}]'),
    policy('service', 'timeouts: { request: 10s, idle: 10s }, retries: { attempts: 1 }'),
    policy('route', 'timeouts: { request: 5s }', 'HTTPRoute/r'),
  ])
  const rules = destination(model).rules.map(({ policy: rule }) => [
    rule.requestTimeoutMs,
    rule.retries.perTryTimeoutMs,
    rule.idleTimeoutMs,
    rule.retries.attempts,
  ])
  expect(rules).toEqual([
    [1000, null, 10_000, 1],
    [null, 2000, 10_000, 1],
    [5000, null, 10_000, 1],
  ])
  expect(destination(model).rules[2]?.policy.from.map(({ name }) => name)).toEqual(['service', 'route'])
  expect(destination(model).policy.requestTimeoutMs).toBe(10_000)
})

test('"0s" of a route switches off what its service set', () => {
  const model = shop([
    route('r', '[{}]'),
    policy('service', 'timeouts: { request: 10s }'),
    policy('route', 'timeouts: { request: 0s }', 'HTTPRoute/r'),
  ])
  expect(destination(model).rules[0]?.policy.requestTimeoutMs).toBeNull()
})

const aged = (text: string, time: string) =>
  text.replace('namespace: shop }', `namespace: shop, creationTimestamp: "${time}" }`)

test('of two policies on one target the older wins each field that both set, and the other is told', () => {
  const older = aged(policy('z-older', 'timeouts: { request: 1s }'), '2026-01-01T00:00:00Z')
  const newer = aged(policy('a-newer', 'timeouts: { request: 2s, idle: 2s }'), '2026-01-02T00:00:00Z')
  for (const texts of [
    [older, newer],
    [newer, older],
  ]) {
    const model = shop(texts)
    expect(destination(model).policy).toMatchObject({ requestTimeoutMs: 1000, idleTimeoutMs: 2000 })
    expect(describeFaults(model.statuses)).toEqual([
      'TrafficPolicy shop/a-newer on Service shop/catalog: Conflicted: spec.timeouts.request is set by TrafficPolicy shop/z-older, which is older or first by name; other fields are in force',
    ])
  }
})

test('of two policies of one age the first by name wins', () => {
  const model = shop([policy('b', 'timeouts: { request: 2s }'), policy('a', 'timeouts: { request: 1s }')])
  expect(destination(model).policy).toMatchObject({ requestTimeoutMs: 1000, from: [{ name: 'a' }] })
})

test('a policy on something that is not there says so, also when it is there in another namespace', () => {
  expect(
    describeFaults(
      shop([policy('p', 'timeouts: {}', 'HTTPRoute/none'), policy('q', 'timeouts: {}', 'Service/redis')]).statuses,
    ),
  ).toEqual([
    'TrafficPolicy shop/p on HTTPRoute shop/none: TargetNotFound: there is no HTTPRoute shop/none in the namespace of this policy',
    'TrafficPolicy shop/q on Service shop/redis: TargetNotFound: there is no Service shop/redis in the namespace of this policy',
  ])
})
