// What callers see of servers that fail: each test takes services of its own over a few pods whose failure it chooses.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from '../../cli/up/system.ts'
import {
  type Answered,
  type Caller,
  callerIn,
  callerPod,
  type Faulty,
  faultyIn,
  faultyPod,
  type Mode,
  until,
} from '../support/caller.ts'
import { meshPolicy, trafficPolicy } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'
import { service } from '../support/routes.ts'

const roundRobin = { loadBalancing: { algorithm: 'RoundRobin' } }
const neverEjected = { outlierDetection: { consecutiveFailures: 1000 } }
/** In turn, so that counts are exact, and without what other tests are about. */
const plain = { ...roundRobin, ...neverEjected }
/** The budget is of a service and of ten seconds: tests that share a service must not use it up for each other. */
const tries = (more: object = {}) => ({ retries: { statuses: [], budget: { minPerSecond: 1000 }, ...more } })

const meshed = (name: string, spec: object) => service(name, 'meshed') + trafficPolicy(name, spec)
/** Endpoints without a sidecar: what their applications do to connections is what the caller's sidecar sees. */
const clear = (name: string, spec: object) => service(name, 'clear') + trafficPolicy(name, spec)

const documents =
  meshPolicy('log', { accessLog: { enabled: true } }) +
  callerPod() +
  faultyPod({ name: 'meshed', replicas: 3 }) +
  faultyPod({ name: 'clear', replicas: 2, inject: false }) +
  meshed('hides', { ...plain, ...tries({ statuses: [502, 503] }) }) +
  meshed('asis', { ...plain, ...tries() }) +
  meshed('budget', { ...plain, retries: { statuses: [503], budget: { percent: 20, minPerSecond: 1 } } }) +
  meshed('breaks', { ...plain, circuitBreaker: { volumeThreshold: 6, resetTimeout: '5s' } }) +
  meshed('ejects', { ...roundRobin, retries: { attempts: 0 }, outlierDetection: { consecutiveFailures: 3 } }) +
  meshed('hurried', { ...plain, timeouts: { request: '400ms' } }) +
  meshed('idle', { ...plain, timeouts: { idle: '400ms' } }) +
  meshed('tries', { ...plain, ...tries({ perTryTimeout: '1s' }) }) +
  trafficPolicy('meshed', { timeouts: { idle: '1s' } }) +
  clear('elsewhere', { ...plain, ...tries() }) +
  clear('swallowed', { ...plain, ...tries(), timeouts: { connect: '1s' } }) +
  clear('lost', { ...plain, ...tries(), timeouts: { connect: '500ms' } })

let mesh: TestMesh
let client: Caller
let replicas: readonly Faulty[]
let clearReplicas: readonly Faulty[]

beforeAll(async () => {
  mesh = await startMesh(documents)
  client = callerIn(mesh)
  replicas = [0, 1, 2].map((ordinal) => faultyIn(mesh, `meshed-${ordinal}`))
  clearReplicas = [0, 1].map((ordinal) => faultyIn(mesh, `clear-${ordinal}`))
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

async function setModes(of: readonly Faulty[], ...modes: readonly Mode[]): Promise<void> {
  await Promise.all(of.map((replica, at) => replica.set(modes[at] ?? 200)))
}

/** Requests that the applications saw, of one method. */
async function seenBy(of: readonly Faulty[], method: string): Promise<number> {
  const counts = await Promise.all(of.map((replica) => replica.seen()))
  return counts.reduce((sum, count) => sum + (count[method] ?? 0), 0)
}

const outcomes = (answers: readonly Answered[]) => {
  const counts: Record<string, number> = {}
  for (const { status, headers } of answers) {
    const reason = headers['x-weft-reason']
    const key = reason === undefined ? `${status}` : `${status} ${reason}`
    counts[key] = (counts[key] ?? 0) + 1
  }
  return counts
}

for (const mode of [503, 'refuse', 'reset'] as const) {
  test(`a replica that fails (${mode}) is hidden from GET by tries on others`, async () => {
    await setModes(replicas, mode)
    expect(outcomes(await client.requests('http://hides:8080/', 30))).toEqual({ 200: 30 })
    await setModes(clearReplicas, mode)
    // Where the policy names no status, an answer is an answer; a connection that fails is tried elsewhere.
    expect(outcomes(await client.requests('http://elsewhere:8080/', 30))).toEqual(
      mode === 503 ? { 200: 15, 503: 15 } : { 200: 30 },
    )
  })
}

test('a POST whose bytes left is not repeated: the servers see it exactly once', async () => {
  for (const mode of ['reset', 503] as const) {
    await setModes(replicas, mode)
    const answers = await client.requests('http://hides:8080/', 30, { method: 'POST', body: 'pay 10' })
    expect(outcomes(answers)).toEqual({ 200: 20, [mode === 503 ? '503' : '502 UPSTREAM_CLOSED']: 10 })
    expect(await seenBy(replicas, 'POST')).toBe(30)
  }
  await setModes(clearReplicas, 'reset')
  const answers = await client.requests('http://elsewhere:8080/', 20, { method: 'POST', body: 'pay 10' })
  expect(outcomes(answers)).toEqual({ 200: 10, '502 UPSTREAM_CLOSED': 10 })
  expect(await seenBy(clearReplicas, 'POST')).toBe(20)
})

test('a POST that never left, or never reached the application, goes to another endpoint: all answered, each seen once', async () => {
  await setModes(clearReplicas, 'refuse')
  const refused = await client.requests('http://elsewhere:8080/', 20, { method: 'POST', body: 'pay 10' })
  expect(outcomes(refused)).toEqual({ 200: 20 })
  expect(await seenBy(clearReplicas, 'POST')).toBe(20)

  // Here the peer's sidecar takes the request and says that its application could not be reached.
  await setModes(replicas, 'refuse')
  const told = await client.requests('http://asis:8080/', 30, { method: 'POST', body: 'pay 10' })
  expect(outcomes(told)).toEqual({ 200: 30 })
  expect(await seenBy(replicas, 'POST')).toBe(30)
  await until('the reason is logged', () => mesh.log('meshed-0.sidecar').includes('CONNECT_FAILED'))
})

test('when all fail, the budget bounds what tries add to the load', async () => {
  await setModes(replicas, 503, 503, 503)
  const answers = await client.requests('http://budget:8080/', 200, { concurrency: 4 })
  expect(outcomes(answers)).toEqual({ 503: 200 })
  const seen = await seenBy(replicas, 'GET')
  expect(seen).toBeGreaterThan(200)
  expect(seen).toBeLessThanOrEqual(200 * 1.2 + 10)
})

test('the breaker opens when the service fails, keeps requests from it, and closes when it is back', async () => {
  await setModes(replicas, 503, 503, 503)
  const answers = await client.requests('http://breaks:8080/', 30)
  expect(outcomes(answers)).toEqual({ 503: 6, '503 BREAKER_OPEN': 24 })
  expect(await seenBy(replicas, 'GET')).toBe(6)

  await setModes(replicas)
  await until('the breaker closes', async () => (await client.request('http://breaks:8080/')).status === 200)
  expect(outcomes(await client.requests('http://breaks:8080/', 20))).toEqual({ 200: 20 })
})

test('an endpoint that fails again and again is set aside', async () => {
  await setModes(replicas, 503)
  expect(outcomes(await client.requests('http://ejects:8080/', 60))).toEqual({ 200: 57, 503: 3 })
  expect((await replicas[0]?.seen())?.['GET']).toBe(3)
})

test('a request has an end where a policy gives it one', async () => {
  await setModes(replicas)
  const whole = await client.request('http://hurried:8080/?delay=3000')
  expect(outcomes([whole])).toEqual({ '504 REQUEST_TIMEOUT': 1 })
  expect(whole.durationMs).toBeLessThan(1500)

  const idle = await client.request('http://idle:8080/?delay=3000')
  expect(outcomes([idle])).toEqual({ '504 IDLE_TIMEOUT': 1 })
  expect(idle.durationMs).toBeLessThan(1500)

  expect(outcomes([await client.request('http://asis:8080/?delay=700')])).toEqual({ 200: 1 })
})

test('a connection carried as bytes ends after the idle time of its policy', async () => {
  const ended = await client.raw({ host: 'meshed', port: 9000, text: 'hello', isEnded: false })
  expect(ended.received).toBe('hello')
  expect(ended.error).not.toBe('LIMIT')
  expect(ended.durationMs).toBeLessThan(3000)
})

test('a try that hangs is given up and made elsewhere', async () => {
  await setModes(replicas, 'hang')
  expect(outcomes(await client.requests('http://tries:8080/', 6))).toEqual({ 200: 6 })
})

test('an endpoint that swallows connections costs the connect timeout, and then another serves', async () => {
  await setModes(clearReplicas)
  await swallowAt('clear-0', async () => {
    const answers = await client.requests('http://swallowed:8080/', 4, { method: 'POST', body: 'pay 10' })
    expect(outcomes(answers)).toEqual({ 200: 4 })
    expect(answers.map(({ headers }) => headers['x-pod'])).toEqual(Array(4).fill('clear-1'))
    const slow = answers.filter(({ durationMs }) => durationMs >= 900)
    expect(slow).toHaveLength(2)
    for (const { durationMs } of slow) expect(durationMs).toBeLessThan(3000)

    // A service of its own: connections that are there already would be used.
    await swallowAt('clear-1', async () => {
      expect(outcomes([await client.request('http://lost:8080/')])).toEqual({ '504 CONNECT_TIMEOUT': 1 })
    })
  })
})

/** While `during` goes on, packets to the application of the pod vanish, as at an address behind a broken link. */
async function swallowAt(pod: string, during: () => Promise<void>): Promise<void> {
  const netns = mesh.running.pods.get(pod)?.plan.networkNamespace ?? ''
  const rule = ['INPUT', '-p', 'tcp', '--dport', '8080', '-j', 'DROP']
  const iptables = (verb: string) => run(['ip', 'netns', 'exec', netns, 'iptables', '-w', verb, ...rule])
  await iptables('-A')
  try {
    await during()
  } finally {
    await iptables('-D')
  }
}

test('pipelined requests are answered in their order', async () => {
  await setModes(replicas)
  const get = (path: string, more = '') => `GET ${path} HTTP/1.1\r\nHost: asis\r\n${more}\r\n`
  const text = get('/one?delay=300') + get('/two') + get('/three', 'Connection: close\r\n')
  const { received, error } = await client.raw({ host: 'asis', port: 8080, text, isEnded: false })
  expect(error).toBeNull()
  expect([...received.matchAll(/"url":"\/(\w+)/g)].map(([, name]) => name)).toEqual(['one', 'two', 'three'])
})

test('an HTTP/1.0 client is answered as it expects: by bytes that end with the connection', async () => {
  const text = 'GET /old HTTP/1.0\r\n\r\n'
  const { received, error } = await client.raw({ host: 'asis', port: 8080, text, isEnded: false })
  expect(error).toBeNull()
  const [head = '', body = ''] = received.split('\r\n\r\n')
  expect(head).toMatch(/^HTTP\/1\.[01] 200 /)
  expect(head.toLowerCase()).not.toContain('transfer-encoding')
  expect(JSON.parse(body)).toMatchObject({ url: '/old' })
})
