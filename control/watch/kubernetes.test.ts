import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import {
  ENDPOINT_SLICES,
  HTTP_ROUTES,
  type KubeKind,
  type KubeObject,
  MESH_POLICIES,
  NODES,
  PODS,
  pathOf,
  REFERENCE_GRANTS,
  SERVICES,
  TRAFFIC_POLICIES,
} from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { until } from '#shared/watch.ts'
import { type FakeApiServer, startFakeApiServer } from '../../test/support/fake-api-server.ts'
import type { Model } from '../model/compile.ts'
import { describeFaults } from '../model/compile.ts'
import { FACTS, pod, route, service, slice } from './kubernetes.fixture.ts'
import { coalesce, type KubernetesWatch, watchKubernetes } from './kubernetes.ts'

const KINDS: readonly KubeKind[] = [
  SERVICES,
  ENDPOINT_SLICES,
  PODS,
  NODES,
  HTTP_ROUTES,
  REFERENCE_GRANTS,
  TRAFFIC_POLICIES,
  MESH_POLICIES,
]

let api: FakeApiServer
let client: KubeClient
let watch: KubernetesWatch | undefined

async function begin(kinds: readonly KubeKind[] = KINDS): Promise<void> {
  api = await startFakeApiServer(...kinds)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
}
beforeEach(() => begin())
afterEach(async () => {
  watch?.close()
  watch = undefined
  client.close()
  await api[Symbol.asyncDispose]()
})

function start(): KubernetesWatch {
  watch = watchKubernetes({ ...FACTS, client, clock: systemClock, random: () => 0, log: silentLog })
  return watch
}

const modelWhere = (test: (model: Model) => boolean): Promise<Model> =>
  until(
    (watch ?? start()).model,
    (model): model is Model => model !== undefined && test(model),
    AbortSignal.timeout(30_000),
  )

function putShop(): void {
  api.put(SERVICES, service())
  api.put(PODS, pod('catalog-0', 10))
  api.put(PODS, pod('catalog-1', 11))
  api.put(
    ENDPOINT_SLICES,
    slice([
      { name: 'catalog-0', host: '10.244.0.10' },
      { name: 'catalog-1', host: '10.244.0.11' },
    ]),
  )
}

const endpoints = (model: Model) => model.endpoints('shop/catalog:80', 'ipv4').map(({ address }) => address)
const CATALOG_ID = 'spiffe://weft.test/ns/shop/sa/catalog'

test('a service is its slices: address, port and identity of each pod', async () => {
  putShop()
  const model = await modelWhere(() => true)
  expect(model.destination('10.96.0.7:80', 'front')?.service).toEqual({ namespace: 'shop', name: 'catalog', port: 80 })
  expect(model.destination('[fd00:96::7]:80', 'front')?.protocol).toBe('http')
  expect(model.endpoints('shop/catalog:80', 'ipv4')).toEqual([
    { address: '10.244.0.10:8080', weight: 1, identity: CATALOG_ID, pod: 'shop/catalog-0' },
    { address: '10.244.0.11:8080', weight: 1, identity: CATALOG_ID, pod: 'shop/catalog-1' },
  ])
  expect(model.pod('shop/catalog-0')).toMatchObject({ namespace: 'shop', serviceAccount: 'catalog' })
  expect(model.workload('shop/catalog-0')?.ports).toEqual([{ port: 8080, protocol: 'http', service: 'shop/catalog' }])
})

test.each(KINDS)('nothing is known before every kind has been listed: $plural late', async (late) => {
  putShop()
  api.refuse(`GET ${pathOf(late)}`, 403, 1)
  const told: (Model | undefined)[] = []
  const { model, failures } = start()
  model.subscribe((next) => told.push(next))
  await api.until(() => KINDS.every((kind) => kind === late || api.watches(kind) === 1))
  await expect.poll(() => failures().join(), { interval: 5 }).toContain(`list ${late.plural}: 403`)
  await modelWhere(() => true)
  expect(told.map((next) => next && endpoints(next).length)).toEqual([2])
  await api.until(() => api.watches(late) === 1)
})

test('CRDs that are not installed hold nothing back', async () => {
  client.close()
  await api[Symbol.asyncDispose]()
  await begin([SERVICES, ENDPOINT_SLICES, PODS, NODES])
  putShop()
  expect(endpoints(await modelWhere(() => true))).toHaveLength(2)
})

test('a pod that is about to end is left out before its slice says so', async () => {
  putShop()
  await modelWhere((model) => endpoints(model).length === 2)
  api.put(PODS, pod('catalog-0', 10, { metadata: { deletionTimestamp: '2026-01-31T12:00:00Z' } }))
  const model = await modelWhere((next) => endpoints(next).length === 1)
  expect(endpoints(model)).toEqual(['10.244.0.11:8080'])
})

test('a pod that is gone is no endpoint, although its slice still says so', async () => {
  putShop()
  await modelWhere((model) => endpoints(model).length === 2)
  api.remove(PODS, 'shop/catalog-0')
  const model = await modelWhere((next) => endpoints(next).length === 1)
  expect(endpoints(model)).toEqual(['10.244.0.11:8080'])
})

test('endpoints that end but still serve are better than none', async () => {
  putShop()
  const conditions = { ready: false, serving: true, terminating: true }
  api.put(ENDPOINT_SLICES, slice([{ name: 'catalog-0', host: '10.244.0.10', conditions }]))
  expect(endpoints(await modelWhere(() => true))).toEqual(['10.244.0.10:8080'])
})

test('a slice that is not ready is no endpoint, nor is a pod that is not', async () => {
  putShop()
  api.put(PODS, pod('catalog-1', 11, { isReady: false }))
  const conditions = { ready: false, serving: false }
  api.put(
    ENDPOINT_SLICES,
    slice([
      { name: 'catalog-0', host: '10.244.0.10', conditions },
      { name: 'catalog-1', host: '10.244.0.11' },
    ]),
  )
  expect(endpoints(await modelWhere(() => true))).toEqual([])
})

test('publishNotReadyAddresses gives pods that are not ready too', async () => {
  putShop()
  api.put(SERVICES, service({ publishNotReadyAddresses: true }))
  api.put(PODS, pod('catalog-1', 11, { isReady: false }))
  expect(endpoints(await modelWhere(() => true))).toHaveLength(2)
})

test('a headless service has no virtual address; its pods are found by theirs', async () => {
  putShop()
  api.put(SERVICES, service({ clusterIP: 'None', clusterIPs: ['None'] }))
  const model = await modelWhere(() => true)
  expect(model.destination('10.96.0.7:80', 'front')).toBeNull()
  const direct = model.destination('10.244.0.10:8080', 'front')
  expect(direct).toMatchObject({ kind: 'endpoint', protocol: 'http', service: { name: 'catalog', port: 80 } })
  expect(model.endpoints(direct?.defaultBackend ?? '', 'ipv4')).toEqual([
    { address: '10.244.0.10:8080', weight: 1, identity: CATALOG_ID, pod: 'shop/catalog-0' },
  ])
})

test('a pod without a sidecar is dialled in clear', async () => {
  putShop()
  api.put(
    PODS,
    pod('catalog-0', 10, {
      spec: { initContainers: [] },
      metadata: { annotations: { 'weft.dev/status': '{"injected":true}' } },
    }),
  )
  const model = await modelWhere(() => true)
  expect(model.endpoints('shop/catalog:80', 'ipv4').map(({ identity }) => identity)).toEqual(['', CATALOG_ID])
  expect(model.workload('shop/catalog-0')).toBeNull()
})

test('a pod on the network of its node is an endpoint, and its address is nobody’s', async () => {
  putShop()
  api.put(PODS, pod('catalog-0', 10, { spec: { hostNetwork: true } }))
  const model = await modelWhere(() => true)
  expect(model.endpoints('shop/catalog:80', 'ipv4')[0]).toEqual({
    address: '10.244.0.10:8080',
    weight: 1,
    identity: '',
    pod: 'shop/catalog-0',
  })
  expect(model.destination('10.244.0.10:8080', 'front')).toBeNull()
})

test('a slice that names another pod than the one at the address gets no identity of it', async () => {
  putShop()
  api.put(PODS, pod('admin-0', 12, { spec: { serviceAccountName: 'admin' }, metadata: { labels: {} } }))
  api.put(
    ENDPOINT_SLICES,
    slice([
      { name: 'admin-0', host: '10.244.0.10' },
      { name: 'admin-0', host: '10.9.9.9' },
    ]),
  )
  const model = await modelWhere(() => true)
  expect(model.endpoints('shop/catalog:80', 'ipv4').map(({ address, identity }) => [address, identity])).toEqual([
    ['10.244.0.10:8080', CATALOG_ID],
    ['10.9.9.9:8080', ''],
  ])
})

test('a service without a selector has the endpoints that somebody has written', async () => {
  api.put(SERVICES, service({ selector: undefined }))
  api.put(PODS, pod('catalog-0', 10))
  api.put(ENDPOINT_SLICES, slice([{ host: '192.0.2.7' }]))
  const model = await modelWhere(() => true)
  expect(model.endpoints('shop/catalog:80', 'ipv4')).toEqual([
    { address: '192.0.2.7:8080', weight: 1, identity: '', pod: '' },
  ])
})

test('services of every type with an address of the cluster are services; an ExternalName is none', async () => {
  putShop()
  api.put(
    SERVICES,
    service({ type: 'LoadBalancer', externalTrafficPolicy: 'Local', allocateLoadBalancerNodePorts: true }),
  )
  api.put(
    SERVICES,
    service({ type: 'ExternalName', externalName: 'example.com', clusterIP: '', clusterIPs: [] }, 'alias'),
  )
  const model = await modelWhere(() => true)
  expect(endpoints(model)).toHaveLength(2)
  expect(model.documents.map(({ name }) => name)).toEqual(['Service shop/catalog'])
})

test('two pods of one name in two namespaces are two', async () => {
  putShop()
  api.put(PODS, pod('catalog-0', 20, { metadata: { namespace: 'other' }, spec: { serviceAccountName: 'someone' } }))
  const model = await modelWhere(() => true)
  expect(model.pod('other/catalog-0')?.serviceAccount).toBe('someone')
  const direct = model.destination('10.244.0.20:8080', 'shop')?.defaultBackend ?? ''
  expect(model.endpoints(direct, 'ipv4')).toEqual([
    {
      address: '10.244.0.20:8080',
      weight: 1,
      identity: 'spiffe://weft.test/ns/other/sa/someone',
      pod: 'other/catalog-0',
    },
  ])
})

test('the address of a pod that has ended is that of its successor', async () => {
  putShop()
  const ended = { metadata: { deletionTimestamp: '2026-01-31T12:00:00Z' }, spec: { serviceAccountName: 'old' } }
  api.put(PODS, pod('zz-old', 10, ended))
  api.put(PODS, { ...pod('done', 11), status: { phase: 'Succeeded', podIPs: [{ ip: '10.244.0.11' }] } })
  const model = await modelWhere(() => true)
  expect(model.endpoints('shop/catalog:80', 'ipv4').map(({ pod: name }) => name)).toEqual([
    'shop/catalog-0',
    'shop/catalog-1',
  ])
})

test('a route that asks for what is not supported is refused by name, and others are in force', async () => {
  putShop()
  const filters = [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: 'b' }] } }]
  api.put(HTTP_ROUTES, route({ rules: [{ filters }] }, 'bad'))
  api.put(
    HTTP_ROUTES,
    route({ rules: [{ name: 'ten', matches: [{ path: { type: 'PathPrefix', value: '/' } }] }] }, 'good'),
  )
  const model = await modelWhere(() => true)
  expect(model.destination('10.96.0.7:80', 'front')?.rules.map(({ rule }) => rule)).toEqual(['ten'])
  expect(describeFaults(model.statuses)).toEqual([
    'HTTPRoute shop/bad on Service shop/catalog: UnsupportedValue: not in force: ' +
      'spec.rules[0].filters: found a field that is not supported yet (RequestHeaderModifier); want it left out',
  ])
  expect(watch?.problems.current).toHaveLength(1)
  api.put(HTTP_ROUTES, route({ rules: [{ name: 'mended' }] }, 'bad'))
  await modelWhere((next) => describeFaults(next.statuses).length === 0)
  expect(watch?.problems.current).toEqual([])
})

test('parents that are no Service are for somebody else', async () => {
  putShop()
  const gateway = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' }
  api.put(HTTP_ROUTES, route({ parentRefs: [gateway], rules: [{ filters: [{ type: 'URLRewrite' }] }] }, 'edge'))
  api.put(
    HTTP_ROUTES,
    route({ parentRefs: [gateway, { group: '', kind: 'Service', name: 'catalog' }], rules: [{}] }, 'both'),
  )
  const model = await modelWhere(() => true)
  expect(model.statuses.map(({ object, ancestor }) => [object.name, ancestor])).toEqual([
    ['both', 'Service shop/catalog'],
  ])
  expect(watch?.problems.current).toEqual([])
})

test('a backend in another namespace needs a ReferenceGrant there', async () => {
  putShop()
  api.put(SERVICES, {
    ...service({ clusterIP: '10.96.0.8', clusterIPs: ['10.96.0.8'] }),
    metadata: { namespace: 'other', name: 'backup' },
  })
  api.put(HTTP_ROUTES, route({ rules: [{ backendRefs: [{ name: 'backup', namespace: 'other', port: 80 }] }] }))
  const backends = (model: Model) => model.destination('10.96.0.7:80', 'front')?.rules[0]?.backends
  const before = await modelWhere(() => true)
  expect(backends(before)).toEqual([{ backend: null, weight: 1 }])
  expect(describeFaults(before.statuses)).toEqual([
    'HTTPRoute shop/split on Service shop/catalog: RefNotPermitted: spec.rules[0].backendRefs[0]: ' +
      'Service other/backup is in another namespace, and no ReferenceGrant in other lets HTTPRoutes of shop refer to it',
  ])
  const from = [{ group: 'gateway.networking.k8s.io', kind: 'HTTPRoute', namespace: 'shop' }]
  const grant = (name: string): KubeObject => ({
    metadata: { namespace: 'other', name: 'lend' },
    spec: { from, to: [{ group: '', kind: 'Service', name }] },
  })
  api.put(REFERENCE_GRANTS, grant('another'))
  const still = await modelWhere((model) => model !== before)
  expect(backends(still)).toEqual([{ backend: null, weight: 1 }])
  api.put(REFERENCE_GRANTS, grant('backup'))
  const after = await modelWhere((model) =>
    model.statuses.every(({ conditions }) => conditions.every(({ status }) => status)),
  )
  expect(backends(after)).toEqual([{ backend: 'other/backup:80', weight: 1 }])
  api.remove(REFERENCE_GRANTS, 'other/lend')
  await modelWhere((model) => describeFaults(model.statuses).length === 1)
})

test('policies act as on one machine', async () => {
  putShop()
  api.put(TRAFFIC_POLICIES, {
    metadata: { namespace: 'shop', name: 'calm', generation: 1, creationTimestamp: '2026-01-31T12:00:00Z' },
    spec: { targetRefs: [{ group: '', kind: 'Service', name: 'catalog' }], timeouts: { request: '3s' } },
  })
  api.put(MESH_POLICIES, {
    metadata: { namespace: 'shop', name: 'open', generation: 1, creationTimestamp: '2026-01-31T12:00:00Z' },
    spec: { mtls: { mode: 'Permissive' } },
  })
  const model = await modelWhere(() => true)
  expect(model.destination('10.96.0.7:80', 'front')?.policy.requestTimeoutMs).toBe(3000)
  expect(model.workload('shop/catalog-0')?.mtls).toBe('Permissive')
})

test('spans go to control at the address of its service', async () => {
  putShop()
  const control = service({ clusterIP: '10.96.0.9', clusterIPs: ['10.96.0.9'] }, 'weft-control')
  api.put(SERVICES, { ...control, metadata: { namespace: 'weft-system', name: 'weft-control' } })
  const model = await modelWhere(() => true)
  expect(model.workload('shop/catalog-0')?.tracing.endpoint).toBe('http://10.96.0.9:4317')
})

test('what comes together is compiled together, and not more often than ten times a second', () => {
  const clock = new ManualClock()
  const runs: number[] = []
  const { run } = coalesce(clock, () => runs.push(clock.now()))
  run()
  run()
  clock.advance(10)
  run()
  clock.advance(20)
  run()
  clock.advance(1000)
  expect(runs).toEqual([10, 110])
})
