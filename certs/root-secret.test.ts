import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Clock, ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { createOwners, type Owners } from '#shared/kube/installation.ts'
import { CLUSTER_ROLES, CONFIG_MAPS, type KubeObject, SECRETS } from '#shared/kube/objects.ts'
import { until } from '#shared/watch.ts'
import { logInto } from '../test/support/certs.ts'
import { type FakeApiServer, startFakeApiServer } from '../test/support/fake-api-server.ts'
import { makeIntermediate } from '../test/support/intermediate.ts'
import { type Authority, makeRoot } from './authority.ts'
import { openRootSecret, type RootSecret } from './root-secret.ts'

const NAME = 'weft-system/weft-root'
const TEN_SECONDS = 10_000
const scope = { trustDomain: 'weft.local', wallMs: Date.now() }

let api: FakeApiServer
let client: KubeClient
let logged: Record<string, unknown>[]
const opened: RootSecret[] = []
beforeEach(async () => {
  api = await startFakeApiServer(SECRETS, CONFIG_MAPS, CLUSTER_ROLES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  logged = []
})
afterEach(async () => {
  for (const root of opened.splice(0)) root.close()
  client.close()
  await api[Symbol.asyncDispose]()
})

async function open(
  clock: Clock = systemClock,
  owners: Owners = createOwners(client),
  isGiven = false,
): Promise<RootSecret> {
  const log = logInto(logged)
  const place = { namespace: 'weft-system', name: 'weft-root' }
  const root = await openRootSecret({
    client,
    ...place,
    trustDomain: 'weft.local',
    isGiven,
    owners,
    clock,
    log,
  })
  opened.push(root)
  return root
}

function put(parts: { readonly chain?: string; readonly key?: string; readonly roots?: string }): void {
  const data: Record<string, string> = {}
  const set = (key: string, text: string | undefined) => {
    if (text !== undefined) data[key] = Buffer.from(text).toString('base64')
  }
  set('tls.crt', parts.chain)
  set('tls.key', parts.key)
  set('ca.crt', parts.roots)
  api.put(SECRETS, { metadata: { namespace: 'weft-system', name: 'weft-root' }, type: 'kubernetes.io/tls', data })
}

/** The next look begins only when the one before is over: so all but the last are. */
async function lookTimes(clock: ManualClock, times: number): Promise<void> {
  for (const asked = api.requests.length; api.requests.length < asked + times; ) {
    clock.advance(TEN_SECONDS)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

const dataOf = (secret: KubeObject | undefined) => secret?.['data'] as Readonly<Record<string, string>>
const decode = (text: string | undefined) => Buffer.from(text ?? '', 'base64').toString()

test('the first start makes the Secret, and the next uses it', async () => {
  const first = await open()
  const secret = api.object(SECRETS, NAME)
  expect(secret).toMatchObject({
    type: 'kubernetes.io/tls',
    metadata: { labels: { 'app.kubernetes.io/managed-by': 'weft' } },
  })
  expect(decode(dataOf(secret)['ca.crt'])).toBe(first.authority.current.bundle)
  expect(dataOf(secret)['tls.crt']).toBe(dataOf(secret)['ca.crt'])
  expect((await open()).authority.current.bundle).toBe(first.authority.current.bundle)
  expect(api.requests.filter((request) => request.startsWith('POST'))).toHaveLength(1)
})

test('a root that is made here is owned by the installation, unless it is to be kept', async () => {
  api.put(CLUSTER_ROLES, { metadata: { name: 'weft-installation', uid: '1-2-3' } })
  await open()
  expect(api.object(SECRETS, NAME)?.metadata.ownerReferences).toMatchObject([
    { name: 'weft-installation', uid: '1-2-3' },
  ])
  api.remove(SECRETS, NAME)
  await open(systemClock, async () => [])
  expect(api.object(SECRETS, NAME)?.metadata.ownerReferences).toEqual([])
})

test('of ten replicas that start together one makes the root, and all use it', async () => {
  const roots = await Promise.all(Array.from({ length: 10 }, () => open()))
  const bundles = new Set(roots.map(({ authority }) => authority.current.bundle))
  expect([...bundles]).toEqual([decode(dataOf(api.object(SECRETS, NAME))['ca.crt'])])
})

test('a Secret that is gone where a bundle was published stops the start rather than making a new root', async () => {
  api.put(CONFIG_MAPS, { metadata: { namespace: 'weft-system', name: 'weft-trust-bundle' } })
  await expect(open()).rejects.toThrow('Secret weft-system/weft-root is gone, and ConfigMap')
  expect(api.object(SECRETS, NAME)).toBeUndefined()
})

test('a start that comes between the Secret and the bundle of another replica uses that Secret', async () => {
  const { root, key } = await makeRoot(scope)
  api.put(CONFIG_MAPS, { metadata: { namespace: 'weft-system', name: 'weft-trust-bundle' } })
  api.refuse('GET /api/v1/namespaces/weft-system/secrets/weft-root', 404)
  put({ chain: root, key, roots: root })
  expect((await open()).authority.current.bundle).toBe(root)
})

test('an API server that refuses stops the start and makes nothing', async () => {
  api.refuse('GET /api/v1/namespaces/weft-system/secrets/weft-root', 403)
  await expect(open()).rejects.toThrow('get Secret weft-system/weft-root: 403')
  expect(api.requests).toHaveLength(1)
})

test('a given pair without ca.crt is its own root', async () => {
  const { root, key } = await makeRoot(scope)
  put({ chain: root, key })
  const { authority } = await open()
  expect(authority.current).toMatchObject({ bundle: root, intermediates: '' })
})

test('a given intermediate signs, and stands after each leaf', async () => {
  const given = await makeIntermediate()
  put({ chain: given.chain, key: given.key, roots: given.root })
  const { authority } = await open()
  expect(authority.current.bundle).toBe(given.root)
  expect(new X509Certificate(authority.current.intermediates).raw).toEqual(new X509Certificate(given.chain).raw)
})

test.each<[string, string, (good: { chain: string; key: string; roots: string }) => Promise<object>]>([
  ['no tls.crt', 'Secret weft-system/weft-root has no tls.crt', async ({ key, roots }) => ({ key, roots })],
  ['no tls.key', 'Secret weft-system/weft-root has no tls.key', async ({ chain, roots }) => ({ chain, roots })],
  [
    'garbage for a key',
    'tls.key of Secret weft-system/weft-root holds no private key',
    async (good) => ({ ...good, key: 'x' }),
  ],
  [
    'garbage for a certificate',
    'tls.crt of Secret weft-system/weft-root: no certificate',
    async (good) => ({ ...good, chain: 'x' }),
  ],
  ['the key of another', 'are no pair', async (good) => ({ ...good, key: (await makeRoot(scope)).key })],
  [
    'an intermediate of a root that ca.crt has not',
    'leads to no root of ca.crt of Secret weft-system/weft-root',
    async () => ({ ...(await makeIntermediate()), roots: (await makeRoot(scope)).root }),
  ],
  [
    'the root of another trust domain',
    'is for spiffe://other.example, want spiffe://weft.local',
    async () => {
      const { root, key } = await makeRoot({ ...scope, trustDomain: 'other.example' })
      return { chain: root, key, roots: root }
    },
  ],
  [
    'a root that has ended',
    'tls.crt of Secret weft-system/weft-root ended at 20',
    async () => {
      const { root, key } = await makeRoot({ ...scope, wallMs: scope.wallMs - 11 * 365 * 24 * 3600_000 })
      return { chain: root, key, roots: root }
    },
  ],
])('a Secret with %s stops the start and is left alone', async (_what, message, spoil) => {
  const { root, key } = await makeRoot(scope)
  put(await spoil({ chain: root, key, roots: root }))
  const before = api.object(SECRETS, NAME)
  await expect(open()).rejects.toThrow(message)
  expect(api.object(SECRETS, NAME)).toBe(before)
})

test('a changed Secret is in force without a restart, and a broken one changes nothing and is logged once', async () => {
  const clock = new ManualClock(scope.wallMs)
  const { authority } = await open(clock)
  const first = authority.current
  put({ chain: 'broken', key: 'broken', roots: 'broken' })
  await lookTimes(clock, 3)
  expect(authority.current).toBe(first)
  expect(logged.filter(({ msg }) => msg === 'the root cannot be read; the last good one stays')).toHaveLength(1)
  const { root, key } = await makeRoot(scope)
  put({ chain: root, key, roots: root })
  clock.advance(TEN_SECONDS)
  const isNext = (value: Authority): value is Authority => value.bundle === root
  await until(authority, isNext, AbortSignal.timeout(30_000))
})

test('a Secret that is deleted while certs runs is not replaced', async () => {
  const clock = new ManualClock(scope.wallMs)
  const { authority } = await open(clock)
  const first = authority.current
  api.remove(SECRETS, NAME)
  await lookTimes(clock, 2)
  expect(api.object(SECRETS, NAME)).toBeUndefined()
  expect(authority.current).toBe(first)
})

test('a root that somebody else gives is waited for and never made', async () => {
  const wait = () => open(systemClock, createOwners(client), true)
  await expect(wait()).rejects.toThrow(
    'Secret weft-system/weft-root is not there, and WEFT_ROOT_FROM=given: want it from who gives it',
  )
  expect(api.object(SECRETS, NAME)).toBeUndefined()

  const given = await makeIntermediate()
  put({ chain: given.chain, key: given.key, roots: given.root })

  const { authority } = await wait()
  expect(authority.current).toMatchObject({ bundle: given.root, intermediates: given.chain })
})
