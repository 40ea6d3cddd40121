import { afterEach, beforeEach, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import { until } from '#shared/watch.ts'
import { type FakeApiServer, startFakeApiServer } from '../../test/support/fake-api-server.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import { createInformer, type Informer, type InformerOptions } from './informer.ts'
import { HTTP_ROUTES, type KubeObject, PODS } from './objects.ts'

type Cut = { readonly color: string }

let api: FakeApiServer
let client: KubeClient
let informer: Informer<Cut> | undefined

beforeEach(async () => {
  api = await startFakeApiServer(PODS)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
})
afterEach(async () => {
  informer?.close()
  informer = undefined
  client.close()
  await api[Symbol.asyncDispose]()
})

const pod = (name: string, color = 'red', more: object = {}): KubeObject => ({
  metadata: { namespace: 'shop', name, labels: { color } },
  ...more,
})
const cut = (object: KubeObject): Cut => ({ color: object.metadata.labels?.['color'] ?? '' })

/** Retries come at once: a test must not wait for what a person would. */
const hasty = { ...systemClock, after: (_: number, run: () => void) => systemClock.after(1, run) }
const patient = systemClock
/** Hasty, and keeps for how long it was asked to wait. */
function recording() {
  const waits: number[] = []
  const after = (ms: number, run: () => void) => {
    waits.push(ms)
    return systemClock.after(1, run)
  }
  return { waits, clock: { ...systemClock, after } }
}

function start(more: Partial<InformerOptions<Cut>> = {}): Informer<Cut> {
  informer = createInformer({
    client,
    kind: PODS,
    project: cut,
    clock: hasty,
    random: () => 0,
    log: silentLog,
    ...more,
  })
  return informer
}

const deadline = () => AbortSignal.timeout(30_000)
const synced = ({ state }: Informer<Cut>) => until(state, (value): value is 'synced' => value === 'synced', deadline())
const knows = ({ objects }: Informer<Cut>, colors: Readonly<Record<string, string>>) =>
  until(
    objects,
    (map): map is typeof map =>
      map.size === Object.keys(colors).length &&
      Object.entries(colors).every(([name, color]) => map.get(`shop/${name}`)?.color === color),
    deadline(),
  )
const lists = () => api.requests.filter((line) => !line.includes('watch=true')).length

test('what is there is listed, what changes and goes is watched', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  expect(pods.objects.current.size).toBe(0)
  await synced(pods)
  await knows(pods, { a: 'red' })
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
  api.put(PODS, pod('b', 'blue'))
  await knows(pods, { a: 'red', b: 'blue' })
  api.remove(PODS, 'shop/a')
  await knows(pods, { b: 'blue' })
  expect(lists()).toBe(1)
})

test('a list comes in pages', async () => {
  for (const name of 'abcde') api.put(PODS, pod(name))
  const pods = start({ pageSize: 2 })
  await knows(pods, { a: 'red', b: 'red', c: 'red', d: 'red', e: 'red' })
  expect(lists()).toBe(3)
})

test('a list whose pages have expired is asked for in one piece', async () => {
  for (const name of 'abc') api.put(PODS, pod(name))
  api.refuse('GET /api/v1/pods?limit=2&continue', 410)
  const pods = start({ pageSize: 2 })
  await knows(pods, { a: 'red', b: 'red', c: 'red' })
  expect(api.requests).toContain('GET /api/v1/pods')
})

test('a connection that breaks is taken up where it broke, without a new list', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  api.cut()
  await api.until(() => api.watches(PODS) === 0)
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
  expect(lists()).toBe(1)
})

test('a watch whose time is over is begun again where it was, without a new list', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  api.end()
  await api.until(() => api.watches(PODS) === 0)
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
  expect(lists()).toBe(1)
})

test('waits grow from half a second to thirty, and begin anew when all is well', async () => {
  const { waits, clock } = recording()
  api.refuse('GET /api/v1/pods', 500, 8)
  const pods = start({ clock, random: () => 1 })
  await api.until(() => api.watches(PODS) === 1)
  expect(waits).toEqual([500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000])
  api.put(PODS, pod('a'))
  await knows(pods, { a: 'red' })
  api.refuse('GET /api/v1/pods', 500)
  api.compact()
  await api.until(() => waits.length === 10)
  // One for the version that was forgotten, one for the list that was refused.
  expect(waits.slice(8)).toEqual([500, 1000])
})

test('half of a wait is left to chance, so that replicas do not come together', async () => {
  const { waits, clock } = recording()
  api.refuse('GET /api/v1/pods', 500, 2)
  await synced(start({ clock, random: () => 0 }))
  expect(waits).toEqual([250, 500])
})

test('a server that asks to wait is waited for, for a list and for a watch, which needs no new list', async () => {
  const { waits, clock } = recording()
  api.refuse('GET /api/v1/pods?limit', 429, 1, 7)
  api.refuse('GET /api/v1/pods?watch=true', 429, 1, 9)
  start({ clock })
  await api.until(() => api.watches(PODS) === 1)
  expect(waits).toEqual([7000, 9000])
  expect(lists()).toBe(2)
})

test('a bookmark moves on the version from which a broken watch is taken up', async () => {
  start()
  await api.until(() => api.watches(PODS) === 1)
  api.say(PODS, JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: '7777' } } }))
  api.cut()
  await api.until(() => api.requests.some((line) => line.includes('resourceVersion=7777')))
  expect(lists()).toBe(1)
})

test('a version that the server has forgotten is listed anew, and what went meanwhile is gone', async () => {
  api.put(PODS, pod('a'))
  api.put(PODS, pod('b'))
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  api.cut()
  await api.until(() => api.watches(PODS) === 0)
  api.remove(PODS, 'shop/b')
  api.put(PODS, pod('c'))
  api.compact()
  await knows(pods, { a: 'red', c: 'red' })
  expect(lists()).toBe(2)
})

test('410 within a watch is listed anew', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  api.compact()
  await api.until(() => lists() === 2 && api.watches(PODS) === 1)
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
})

test('a line that is no event leads to a new list, and nothing known is lost meanwhile', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  const sizes: number[] = []
  pods.objects.subscribe((map) => sizes.push(map.size))
  api.say(PODS, '{"type":"ADDED","object":')
  await api.until(() => lists() === 2 && api.watches(PODS) === 1)
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
  expect(sizes).toEqual([2])
})

test('it is not synced before a list has succeeded', async () => {
  api.put(PODS, pod('a'))
  api.refuse('GET /api/v1/pods', 500, 2)
  api.garble('GET /api/v1/pods', '{"items":')
  api.garble('GET /api/v1/pods', '{"kind":"PodList"}')
  const states: string[] = []
  const pods = start()
  pods.state.subscribe((state) => states.push(state))
  await synced(pods)
  expect(states).toEqual(['synced'])
  expect(lists()).toBe(5)
})

test('a refusal is told with its reason, and taken back when it is over', async () => {
  api.refuse('GET /api/v1/pods', 403, 1)
  const pods = start({ clock: patient })
  const failure = await until(pods.failure, (value): value is string => value !== null, deadline())
  expect(failure).toBe('list pods: 403 told to')
  await synced(pods)
  expect(pods.failure.current).toBeNull()
})

test('a change of what is not read is no change', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  await knows(pods, { a: 'red' })
  const before = pods.objects.current
  await api.until(() => api.watches(PODS) === 1)
  api.put(PODS, pod('a', 'red', { status: { phase: 'Running' } }))
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
  expect(pods.objects.current.get('shop/a')).toBe(before.get('shop/a'))
})

test('an object that cannot be read is left out and holds back no other', async () => {
  api.put(PODS, pod('a', 'poison'))
  api.put(PODS, pod('b'))
  const pods = start({
    project(object) {
      const found = cut(object)
      if (found.color === 'poison') throw new Error('unreadable')
      return found
    },
  })
  await knows(pods, { b: 'red' })
})

test('a kind that the server does not know has no objects, and is found when it comes', async () => {
  const routes = start({ kind: HTTP_ROUTES })
  await until(routes.state, (state): state is 'missing' => state === 'missing', deadline())
  expect(routes.objects.current.size).toBe(0)
  routes.close()
  const pods = start()
  await synced(pods)
})

test('a kind that is missing for a moment keeps its objects', async () => {
  api.put(PODS, pod('a'))
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  const sizes: number[] = []
  pods.objects.subscribe((map) => sizes.push(map.size))
  api.refuse('GET /api/v1/pods', 404, 2)
  api.compact()
  await api.until(() => lists() === 4 && api.watches(PODS) === 1)
  api.put(PODS, pod('b'))
  await knows(pods, { a: 'red', b: 'red' })
  expect(sizes).toEqual([2])
})

test('all is listed anew now and then, so that no mistake lasts', async () => {
  api.put(PODS, pod('a'))
  start({ resyncMs: 0 })
  await api.until(() => lists() >= 3)
})

test('nothing is asked any more once it is closed', async () => {
  const pods = start()
  await api.until(() => api.watches(PODS) === 1)
  pods.close()
  await api.until(() => api.watches(PODS) === 0)
  const before = api.requests.length
  api.put(PODS, pod('a'))
  expect(pods.objects.current.size).toBe(0)
  expect(api.requests.length).toBe(before)
})
