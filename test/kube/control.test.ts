// Control on a real API server, as the service account and with the rules of the chart: from objects to what a sidecar is told, and
// back into the status of the objects.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { createInformer } from '#shared/kube/informer.ts'
import {
  HTTP_ROUTES,
  type KubeKind,
  type KubeObject,
  PODS,
  SECRETS,
  SERVICES,
  TRAFFIC_POLICIES,
} from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { customResourceDefinitions } from '#shared/resources/crd/definitions.ts'
import { until, Watched } from '#shared/watch.ts'
import { WEFT_NAMESPACE } from '../../cli/install/charts.ts'
import { readControlConfig } from '../../control/config.ts'
import { createControlMetrics } from '../../control/metrics.ts'
import type { Model } from '../../control/model/compile.ts'
import { createReplicas } from '../../control/replicas/replicas.ts'
import { createSidecars } from '../../control/serve/sidecars.ts'
import { openSource } from '../../control/source.ts'
import { startStatusWriter } from '../../control/status-writer/writer.ts'
import { type GatewayApi, watchGatewayApi } from '../../control/watch/gateway-api.ts'
import { type KubernetesWatch, watchKubernetes } from '../../control/watch/kubernetes.ts'
import { type ApiServer, gatewayApiCrd, startApiServer } from '../support/apiserver.ts'
import { grantAsChart } from '../support/chart-rules.ts'
import { createNamespace, createReadyPod, createService, putSlice } from '../support/cluster-objects.ts'
import { eventually, startControl, startSidecar, TRUST_DOMAIN, untilTrue } from '../support/discovery.ts'
import { createTestAuthority } from '../support/svid.ts'

const parts = { clock: systemClock, random: Math.random, log: silentLog }
/** Ten times as fast: a status is written to one object at most each 10 s. */
const hurried = {
  ...systemClock,
  now: () => systemClock.now() * 10,
  after: (ms: number, run: () => void) => systemClock.after(ms / 10, run),
}

describe('control on a real API server', () => {
  let api: ApiServer
  let client: KubeClient
  let watch: KubernetesWatch
  const sidecars = createSidecars()
  let stopWriting = async () => {}

  beforeAll(async () => {
    api = await startApiServer()
    for (const definition of customResourceDefinitions()) await api.installCrd(definition)
    for (const plural of ['httproutes', 'referencegrants']) await api.installCrd(await gatewayApiCrd(plural))
    for (const namespace of ['shop', 'front', WEFT_NAMESPACE]) await createNamespace(api.client, namespace)
    await grantAsChart(api.client)
    client = createKubeClient({ connection: api.as('control'), clock: systemClock, userAgent: 'weft-control' })
    const facts = { trustDomain: TRUST_DOMAIN, systemNamespace: WEFT_NAMESPACE, controlService: 'weft-control' }
    watch = watchKubernetes({ ...parts, ...facts, client })
    const own = { ...parts, ...watch, ...facts, clock: hurried, client, replica: 'control-0' }
    const identity = new Watched(undefined)
    const replicas = createReplicas(own).start({ sidecars, identity, address: '' })
    const writer = startStatusWriter({ ...own, ...replicas })
    stopWriting = async () => {
      await writer.close()
      await replicas.close()
    }
  }, 180_000)
  afterAll(async () => {
    await stopWriting()
    watch?.close()
    client?.close()
    await api?.[Symbol.asyncDispose]()
  }, 180_000)

  const modelWhere = (isIt: (model: Model) => boolean): Promise<Model> =>
    until(watch.model, (model): model is Model => model !== undefined && isIt(model), AbortSignal.timeout(60_000))
  const addressOf = async (name: string) => {
    const { spec } = (await api.client.get(SERVICES, { namespace: 'shop', name })) as {
      spec: { clusterIP: string }
    } & KubeObject
    return spec.clusterIP
  }

  test('it may read what it needs, and nothing is missing', async () => {
    await modelWhere(() => true)
    // A storage that has just been made says so for a moment.
    await expect.poll(() => watch.failures()).toEqual([])
  })

  test('it knows of which version and channel the CRDs of the Gateway API are', async () => {
    const { found, close } = watchGatewayApi({ ...parts, client })
    const known = (value: GatewayApi | undefined): value is GatewayApi => value !== undefined
    const gatewayApi = await until(found, known, AbortSignal.timeout(60_000)).finally(close)
    expect(gatewayApi).toEqual({ version: 'v1.6.3', channel: 'standard', isRecent: true })
  })

  test('a service is served by its ready pods, and a pod that is deleted is left out at once', async () => {
    await createService(api.client, 'shop', 'catalog')
    await createReadyPod(api.client, 'shop', 'catalog-0', { app: 'catalog', address: '10.244.0.10' })
    await createReadyPod(api.client, 'shop', 'catalog-1', { app: 'catalog', address: '10.244.0.11' })
    await putSlice(api.client, 'shop', 'catalog', { 'catalog-0': '10.244.0.10', 'catalog-1': '10.244.0.11' })
    const model = await modelWhere((next) => next.endpoints('shop/catalog:80', 'ipv4').length === 2)
    const identity = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/catalog`
    expect(model.endpoints('shop/catalog:80', 'ipv4')).toEqual([
      { address: '10.244.0.10:8080', weight: 1, identity, pod: 'shop/catalog-0' },
      { address: '10.244.0.11:8080', weight: 1, identity, pod: 'shop/catalog-1' },
    ])
    expect(model.destination(`${await addressOf('catalog')}:80`, 'front')?.protocol).toBe('http')
    await api.client.remove(PODS, { namespace: 'shop', name: 'catalog-1' })
    const after = await modelWhere((next) => next.endpoints('shop/catalog:80', 'ipv4').length === 1)
    expect(after.world.pods.find(({ name }) => name === 'shop/catalog-1')?.terminating).toBe(true)
  })

  test('a sidecar says its pod’s name and is told of its own workload and of what it calls', async () => {
    await createService(api.client, 'shop', 'cart')
    await createReadyPod(api.client, 'shop', 'cart-0', { app: 'cart', address: '10.244.0.20' })
    await createReadyPod(api.client, 'front', 'cart-0', { app: 'web', address: '10.244.0.21' })
    await putSlice(api.client, 'shop', 'cart', { 'cart-0': '10.244.0.20' })
    const model = await modelWhere(
      (next) => next.pod('front/cart-0') !== null && next.endpoints('shop/cart:80', 'ipv4').length === 1,
    )
    const authority = await createTestAuthority()
    await using control = await startControl(authority, { model })
    const as = `spiffe://${TRUST_DOMAIN}/ns/front/sa/web`
    await using sidecar = await startSidecar(authority, control.address, { pod: 'cart-0', as })
    const workload = await eventually(sidecar.discovery.workload, (value) => value !== undefined)
    expect(workload).toMatchObject({ name: 'cart-0', namespace: 'front', serviceAccount: 'web' })
    const found = await sidecar.discovery.find({ host: await addressOf('cart'), port: 80 })
    expect(found?.config.current.service).toEqual({ namespace: 'shop', name: 'cart', port: 80 })
    // The pod of the same name in the other namespace runs as somebody else.
    const other = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`
    await using stranger = await startSidecar(authority, control.address, { pod: 'cart-0', as: other })
    await untilTrue(() => control.server.sidecars.statuses().length === 1)
    expect(stranger.discovery.workload.current).toBeUndefined()
    expect(control.server.sidecars.statuses()[0]?.pod).toBe('front/cart-0')
  })

  interface Entry {
    readonly controllerName: string
    readonly conditions: readonly {
      readonly type: string
      readonly status: string
      readonly reason: string
      readonly message: string
      readonly observedGeneration: number
    }[]
  }
  const entriesOf = (object: KubeObject | undefined): readonly Entry[] => {
    const status = object?.['status'] as Readonly<Record<string, readonly Entry[]>> | undefined
    return status?.['parents'] ?? status?.['ancestors'] ?? []
  }
  /** What control has written to an object of the shop, once the test passes. */
  async function told(kind: KubeKind, name: string, isIt: (entries: readonly Entry[]) => boolean) {
    const informer = createInformer({
      ...parts,
      client: api.client,
      kind,
      namespace: 'shop',
      project: (object) => object,
    })
    const at = `shop/${name}`
    const test = (map: ReadonlyMap<string, KubeObject>): map is typeof map => isIt(entriesOf(map.get(at)))
    const map = await until(informer.objects, test, AbortSignal.timeout(60_000)).finally(informer.close)
    return entriesOf(map.get(at))
  }
  const conditions = (entries: readonly Entry[]) =>
    entries.flatMap((entry) => entry.conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`))

  const route = (name: string, rules: readonly object[], parent = 'catalog'): KubeObject => ({
    metadata: { namespace: 'shop', name },
    spec: { parentRefs: [{ group: '', kind: 'Service', name: parent }], rules },
  })

  test('a route is in force and told so; its status passes the checks of its CRD', async () => {
    await createService(api.client, 'shop', 'reviews')
    await api.client.create(HTTP_ROUTES, route('good', [{ backendRefs: [{ name: 'reviews', port: 80 }] }], 'reviews'))
    const key = `${await addressOf('reviews')}:80`
    await modelWhere((next) => next.destination(key, 'front')?.rules.length === 1)
    const entries = await told(HTTP_ROUTES, 'good', (found) => found.length === 1)
    expect(entries[0]?.controllerName).toBe('weft.dev/controller')
    expect(entries[0]?.conditions.map(({ observedGeneration }) => observedGeneration)).toEqual([1, 1, 1])
    expect(conditions(entries)).toEqual([
      'Accepted True Accepted',
      'ResolvedRefs True ResolvedRefs',
      'Programmed Unknown Pending',
    ])
  })

  test('a route whose service comes later is told of both', async () => {
    await api.client.create(HTTP_ROUTES, route('early', [{}], 'later'))
    const before = await told(HTTP_ROUTES, 'early', (found) => found.length === 1)
    expect(conditions(before)[0]).toBe('Accepted False NoMatchingParent')
    await createService(api.client, 'shop', 'later')
    await told(HTTP_ROUTES, 'early', (found) => conditions(found)[0] === 'Accepted True Accepted')
  }, 180_000)

  test('a route with a filter is refused by its field, while others live', async () => {
    const filters = [{ type: 'RequestHeaderModifier', requestHeaderModifier: { set: [{ name: 'a', value: 'b' }] } }]
    await createService(api.client, 'shop', 'filtered')
    await api.client.create(
      HTTP_ROUTES,
      route('bad', [{ filters, backendRefs: [{ name: 'filtered', port: 80 }] }], 'filtered'),
    )
    const entries = await told(HTTP_ROUTES, 'bad', (found) => found.length === 1)
    expect(conditions(entries)).toEqual(['Accepted False UnsupportedValue', 'Programmed False Invalid'])
    expect(entries[0]?.conditions[0]?.message).toContain('spec.rules[0].filters')
    expect(watch.model.current?.statuses.some(({ object }) => object.name === 'good')).toBe(true)
  })

  test('of two policies on one service the younger is told who won', async () => {
    await createService(api.client, 'shop', 'busy')
    const policy = (name: string): KubeObject => ({
      metadata: { namespace: 'shop', name },
      spec: { targetRefs: [{ group: '', kind: 'Service', name: 'busy' }], timeouts: { request: '3s' } },
    })
    await api.client.create(TRAFFIC_POLICIES, policy('a-first'))
    await api.client.create(TRAFFIC_POLICIES, policy('b-second'))
    const entries = await told(TRAFFIC_POLICIES, 'b-second', (found) => found.length === 1)
    expect(conditions(entries)[0]).toBe('Accepted False Conflicted')
    expect(entries[0]?.conditions[0]?.message).toContain('TrafficPolicy shop/a-first')
  })

  test('a policy counts the sidecars that have it in force', async () => {
    const remove = sidecars.add({
      pod: 'shop/catalog-0',
      identity: parseSpiffeId(`spiffe://${TRUST_DOMAIN}/ns/shop/sa/catalog`),
      software: 'test',
      addresses: [],
      connectedAt: 0,
      openedAtMs: 0,
      revision: () => 0,
      subscriptions: () => [
        {
          type: 'DESTINATION',
          name: '10.96.0.7:80',
          current: 'b',
          applied: 'a',
          refused: null,
          objects: ['TrafficPolicy shop/counted'],
        },
      ],
    })
    await createService(api.client, 'shop', 'counted')
    await api.client.create(TRAFFIC_POLICIES, {
      metadata: { namespace: 'shop', name: 'counted' },
      spec: { targetRefs: [{ group: '', kind: 'Service', name: 'counted' }], retries: { attempts: 3 } },
    })
    await told(TRAFFIC_POLICIES, 'counted', (found) => found.length === 1)
    const { status } = await api.client.get(TRAFFIC_POLICIES, { namespace: 'shop', name: 'counted' })
    expect(status).toMatchObject({ applied: '0 of 1', lagging: ['shop/catalog-0'] })
    remove()
  })

  test('WEFT_SOURCE=kubernetes takes the current context of a kubeconfig', async () => {
    const config = readControlConfig({
      WEFT_SOURCE: 'kubernetes',
      KUBECONFIG: await api.kubeconfig('control'),
      WEFT_TRUST_DOMAIN: TRUST_DOMAIN,
    })
    const source = await openSource(config, { ...parts, metrics: createControlMetrics() })
    const isThere = (model: Model | undefined): model is Model => model !== undefined
    const model = await until(source.model, isThere, AbortSignal.timeout(60_000))
    expect(model.pod('shop/catalog-0')?.serviceAccount).toBe('catalog')
    const applied = await source.store.apply({ path: 'mesh.yaml', text: '' }, true)
    expect(applied).toMatchObject({ problems: [{ want: 'kubectl apply -f mesh.yaml' }] })
    await source.close()
  })

  test('control may not read secrets nor change what people own', async () => {
    const tries = [
      client.list(SECRETS),
      client.create(SERVICES, { metadata: { namespace: 'shop', name: 'own' }, spec: { ports: [{ port: 80 }] } }),
      client.patch(HTTP_ROUTES, { namespace: 'shop', name: 'good' }, { metadata: { labels: { a: 'b' } } }),
      client.remove(PODS, { namespace: 'shop', name: 'catalog-0' }),
    ]
    const answers = await Promise.allSettled(tries)
    expect(answers.map((answer) => answer.status === 'rejected' && answer.reason.status)).toEqual([403, 403, 403, 403])
  })
})
