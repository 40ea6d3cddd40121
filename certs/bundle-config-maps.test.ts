import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { CLUSTER_ROLES, CONFIG_MAPS, NAMESPACES, PODS } from '#shared/kube/objects.ts'
import { Watched } from '#shared/watch.ts'
import { logInto } from '../test/support/certs.ts'
import { type FakeApiServer, startFakeApiServer } from '../test/support/fake-api-server.ts'
import { type Authority, makeRoot, readAuthority } from './authority.ts'
import { type BundlePublisher, publishBundle } from './bundle-config-maps.ts'
import { hasSidecars, type Namespaces, watchNamespaces } from './namespaces.ts'

const clock = new ManualClock()
let api: FakeApiServer
let client: KubeClient
let authority: Watched<Authority>
let namespaces: Namespaces
let publisher: BundlePublisher
let logged: Record<string, unknown>[]
beforeEach(async () => {
  api = await startFakeApiServer(NAMESPACES, PODS, CONFIG_MAPS, CLUSTER_ROLES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  authority = new Watched(await makeAuthority())
  putNamespace('weft-system')
  putNamespace('shop', { 'weft.dev/inject': 'enabled' })
  putNamespace('other')
  putNamespace('off', { 'weft.dev/inject': 'disabled' })
  logged = []
  const parts = { client, clock, log: logInto(logged), random: () => 0 }
  namespaces = watchNamespaces({ ...parts, own: 'weft-system' })
  const ask = (namespace: string) => hasSidecars(client, namespace)
  publisher = publishBundle({ ...parts, authority, namespaces: namespaces.current, hasSidecars: ask })
})
afterEach(async () => {
  publisher.close()
  namespaces.close()
  client.close()
  await api[Symbol.asyncDispose]()
})

async function makeAuthority(): Promise<Authority> {
  const scope = { trustDomain: 'weft.local', wallMs: Date.now() }
  const { root, key } = await makeRoot(scope)
  return readAuthority({ chain: root, key, roots: root, names: { chain: '', key: '', roots: '', wayOut: '' } }, scope)
}

function putNamespace(name: string, labels: Record<string, string> = {}, more: object = {}): void {
  api.put(NAMESPACES, { metadata: { name, labels, ...more } })
}

const bundleIn = (namespace: string) => {
  const data = api.object(CONFIG_MAPS, `${namespace}/weft-trust-bundle`)?.['data']
  return (data as Record<string, string> | undefined)?.['bundle.pem']
}
/** Timers that are due run only when the clock moves. */
async function advanceUntil(byMs: number, test: () => boolean): Promise<void> {
  while (!test()) {
    clock.advance(byMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
}
const isPublished = (...names: readonly string[]) => names.every((name) => bundleIn(name) === authority.current.bundle)

test('the bundle is in labelled namespaces and in our own, and nowhere else', async () => {
  await api.until(() => isPublished('shop', 'weft-system'))
  await api.until(() => api.requests.includes('GET /api/v1/namespaces/off/configmaps/weft-trust-bundle'))
  expect([bundleIn('other'), bundleIn('off')]).toEqual([undefined, undefined])
  expect(api.object(CONFIG_MAPS, 'shop/weft-trust-bundle')).toMatchObject({
    metadata: { labels: { 'app.kubernetes.io/managed-by': 'weft' } },
  })
})

test('the bundles are owned by the installation, and by a new one after it has taken the old ones along', async () => {
  await api.until(() => isPublished('shop', 'weft-system'))
  const ownersIn = (namespace: string) =>
    api.object(CONFIG_MAPS, `${namespace}/weft-trust-bundle`)?.metadata.ownerReferences?.map(({ uid }) => uid)
  for (const uid of ['1-2-3', '4-5-6']) {
    api.put(CLUSTER_ROLES, { metadata: { name: 'weft-installation', uid } })
    for (const namespace of ['shop', 'weft-system']) api.remove(CONFIG_MAPS, `${namespace}/weft-trust-bundle`)
    await advanceUntil(60_000, () => ownersIn('shop')?.[0] === uid && ownersIn('weft-system')?.[0] === uid)
  }
})

test('a namespace that gets the label gets the bundle', async () => {
  await api.until(() => isPublished('shop'))
  putNamespace('other', { 'weft.dev/inject': 'enabled' })
  await api.until(() => isPublished('other'))
})

test('a pod that asks for a sidecar by itself gets the bundle into its namespace', async () => {
  await api.until(() => isPublished('shop'))
  api.put(PODS, { metadata: { namespace: 'other', name: 'lone', labels: { 'weft.dev/inject': 'enabled' } } })
  await advanceUntil(10_000, () => isPublished('other'))
})

test('changed roots are in every namespace at once', async () => {
  await api.until(() => isPublished('shop', 'weft-system'))
  authority.set(await makeAuthority())
  await api.until(() => isPublished('shop', 'weft-system'))
})

test('a bundle that somebody has changed is put right', async () => {
  await api.until(() => isPublished('shop'))
  api.put(CONFIG_MAPS, { metadata: { namespace: 'shop', name: 'weft-trust-bundle' }, data: { 'bundle.pem': 'evil' } })
  await advanceUntil(60_000, () => isPublished('shop'))
})

test('without its label a namespace keeps the bundle, and a current one, while sidecars are left there', async () => {
  api.put(PODS, {
    metadata: { namespace: 'shop', name: 'web', annotations: { 'weft.dev/status': '{"version":"1","injected":true}' } },
  })
  await api.until(() => isPublished('shop'))
  putNamespace('shop')
  await advanceUntil(0, () => namespaces.current.current.get('shop') === false)
  authority.set(await makeAuthority())
  await api.until(() => isPublished('shop'))
  api.remove(PODS, 'shop/web')
  await advanceUntil(60_000, () => bundleIn('shop') === undefined)
})

test('a ConfigMap of that name which is not ours is not removed', async () => {
  await api.until(() => isPublished('shop'))
  api.put(CONFIG_MAPS, { metadata: { namespace: 'other', name: 'weft-trust-bundle' }, data: {} })
  const asked = api.requests.length
  await advanceUntil(60_000, () =>
    api.requests.slice(asked).includes('GET /api/v1/namespaces/other/configmaps/weft-trust-bundle'),
  )
  authority.set(await makeAuthority())
  await api.until(() => isPublished('shop'))
  expect(api.object(CONFIG_MAPS, 'other/weft-trust-bundle')).toBeDefined()
})

test('what the API server refuses is tried again, and holds back no other namespace', async () => {
  api.refuse('PATCH /api/v1/namespaces/late/', 500, 2)
  putNamespace('late', { 'weft.dev/inject': 'enabled' })
  putNamespace('zoo', { 'weft.dev/inject': 'enabled' })
  await api.until(() => isPublished('zoo'))
  await advanceUntil(5_000, () => isPublished('late'))
  expect(logged).toContainEqual(expect.objectContaining({ namespace: 'late', level: 40 }))
})

test('a namespace that is being deleted gets nothing', async () => {
  putNamespace('gone', { 'weft.dev/inject': 'enabled' }, { deletionTimestamp: '2026-06-01T12:00:00Z' })
  putNamespace('zoo', { 'weft.dev/inject': 'enabled' })
  await api.until(() => isPublished('zoo'))
  expect(bundleIn('gone')).toBeUndefined()
})
