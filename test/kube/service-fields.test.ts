// The fields of a Service that kube-proxy would honour, from a real API server to what control tells the sidecars of pods on several
// nodes.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { ENDPOINT_SLICES, NODES, PODS, SERVICES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import type { Watched } from '#shared/watch.ts'
import { WEFT_NAMESPACE } from '../../cli/install/charts.ts'
import type { ModelView } from '../../control/serve/view.ts'
import { type KubernetesWatch, watchKubernetes } from '../../control/watch/kubernetes.ts'
import { type ApiServer, startApiServer } from '../support/apiserver.ts'
import { grantAsChart } from '../support/chart-rules.ts'
import { createNamespace, createReadyPod, createService } from '../support/cluster-objects.ts'
import {
  type RunningControl,
  type RunningSidecar,
  startControl,
  startSidecar,
  TRUST_DOMAIN,
} from '../support/discovery.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

/** A pod that calls on each, and one that serves on all but the last. */
const PLACES = [
  { node: 'n1', zone: 'a', caller: 'caller-1', server: '10.244.0.11' },
  { node: 'n2', zone: 'a', caller: 'caller-2', server: '10.244.0.12' },
  { node: 'n3', zone: 'b', caller: 'caller-3', server: '10.244.0.13' },
  { node: 'n4', zone: 'c', caller: 'caller-4', server: null },
] as const
const AS_CALLER = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/caller`

let api: ApiServer
let client: KubeClient
let watch: KubernetesWatch
let stop = () => {}
let authority: TestAuthority
let control: RunningControl
const sidecars: RunningSidecar[] = []

beforeAll(async () => {
  api = await startApiServer()
  for (const namespace of ['shop', WEFT_NAMESPACE]) await createNamespace(api.client, namespace)
  await grantAsChart(api.client)
  for (const [at, { node, zone, caller, server }] of PLACES.entries()) {
    await api.client.create(NODES, { metadata: { name: node, labels: { 'topology.kubernetes.io/zone': zone } } })
    await createReadyPod(api.client, 'shop', caller, { app: 'caller', address: `10.244.0.${at + 1}`, node })
    if (server !== null)
      await createReadyPod(api.client, 'shop', `on-${node}`, { app: 'server', address: server, node })
  }
  client = createKubeClient({ connection: api.as('control'), clock: systemClock, userAgent: 'weft-control' })
  const facts = { trustDomain: TRUST_DOMAIN, systemNamespace: WEFT_NAMESPACE, controlService: 'weft-control' }
  watch = watchKubernetes({ ...facts, client, clock: systemClock, random: Math.random, log: silentLog })
  authority = await createTestAuthority()
  control = await startControl(authority, { model: undefined })
  const model: Watched<ModelView | undefined> = control.model
  stop = watch.model.subscribe((next) => model.set(next))
  model.set(watch.model.current)
  for (const { caller } of PLACES)
    sidecars.push(await startSidecar(authority, control.address, { pod: caller, as: AS_CALLER }))
}, 180_000)
afterAll(async () => {
  for (const sidecar of sidecars) await sidecar[Symbol.asyncDispose]()
  await control?.[Symbol.asyncDispose]()
  stop()
  watch?.close()
  client?.close()
  await api?.[Symbol.asyncDispose]()
}, 180_000)

interface Endpoint {
  readonly conditions?: object
  readonly hints?: object
}
const READY = { ready: true, serving: true, terminating: false }

/** As the controller of EndpointSlices would write it: an endpoint for each place that serves. */
async function putSlice(service: string, endpointOf: (place: (typeof PLACES)[number]) => Endpoint = () => ({})) {
  const endpoints = PLACES.flatMap((place) => {
    if (place.server === null) return []
    const { conditions = READY, ...rest } = endpointOf(place)
    const targetRef = { kind: 'Pod', namespace: 'shop', name: `on-${place.node}` }
    return [{ addresses: [place.server], nodeName: place.node, targetRef, conditions, ...rest }]
  })
  const metadata = { namespace: 'shop', name: `${service}-x`, labels: { 'kubernetes.io/service-name': service } }
  const ports = [{ name: 'http', port: 8080, protocol: 'TCP' }]
  const slice = { metadata, addressType: 'IPv4', ports, endpoints }
  await api.client.apply(ENDPOINT_SLICES, slice, { fieldManager: 'test' })
}

async function createServer(name: string, spec: object = {}): Promise<string> {
  const made = await createService(api.client, 'shop', name, { selector: { app: 'server' }, ...spec })
  return (made['spec'] as { clusterIP: string }).clusterIP
}

/** Nodes of the endpoints that each of the sidecars has in force for an address, once they are as expected. */
async function expectSeen(address: string, expected: readonly string[], port = 80): Promise<void> {
  const seen = async () => {
    const found = await Promise.all(sidecars.map(({ discovery }) => discovery.find({ host: address, port })))
    return found.map((known) => {
      const { current = [] } = known?.endpoints(known.config.current.defaultBackend) ?? {}
      return current
        .map(({ pod }) => pod.replace('shop/on-', ''))
        .sort()
        .join(' ')
    })
  }
  await expect.poll(seen, { timeout: 30_000 }).toEqual(expected)
}

async function backendOf(address: string) {
  const found = await sidecars[0]?.discovery.find({ host: address, port: 80 })
  return found?.config.current.backends[0]
}

const EVERYWHERE = Array(4).fill('n1 n2 n3')

test('each sidecar is told of every endpoint where the service says nothing else', async () => {
  const address = await createServer('plain')
  await putSlice('plain')
  await expectSeen(address, EVERYWHERE)
  expect(await backendOf(address)).not.toHaveProperty('isLocalOnly')
})

test('sessionAffinity: ClientIP is told with its timeout', async () => {
  const usual = await createServer('usual', { sessionAffinity: 'ClientIP' })
  const config = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }
  const short = await createServer('short', { sessionAffinity: 'ClientIP', ...config })
  await expect.poll(async () => (await backendOf(usual))?.policy.sessionAffinityMs).toBe(10_800_000)
  await expect.poll(async () => (await backendOf(short))?.policy.sessionAffinityMs).toBe(60_000)
})

test('internalTrafficPolicy: Local: endpoints on the node of the pod, and none where it has none', async () => {
  const address = await createServer('local', { internalTrafficPolicy: 'Local' })
  await putSlice('local')
  await expectSeen(address, ['n1', 'n2', 'n3', ''])
  expect((await backendOf(address))?.isLocalOnly).toBe(true)
  await api.client.patch(SERVICES, { namespace: 'shop', name: 'local' }, { spec: { internalTrafficPolicy: 'Cluster' } })
  await expectSeen(address, EVERYWHERE)
})

test('trafficDistribution: PreferClose: the zone of the pod’s node, and all where the zone has none', async () => {
  const address = await createServer('close', { trafficDistribution: 'PreferClose' })
  await putSlice('close', ({ zone }) => ({ hints: { forZones: [{ name: zone }] } }))
  await expectSeen(address, ['n1 n2', 'n1 n2', 'n3', 'n1 n2 n3'])
  const labels = { 'topology.kubernetes.io/zone': 'b' }
  await api.client.patch(NODES, { name: 'n4' }, { metadata: { labels } })
  await expectSeen(address, ['n1 n2', 'n1 n2', 'n3', 'n3'])
  await putSlice('close', ({ zone }) => (zone === 'a' ? { hints: { forZones: [{ name: zone }] } } : {}))
  await expectSeen(address, EVERYWHERE)
})

test('trafficDistribution: PreferSameNode: the node of the pod, else its zone', async () => {
  const address = await createServer('same-node', { trafficDistribution: 'PreferSameNode' })
  await putSlice('same-node', ({ node, zone }) => ({
    hints: { forNodes: [{ name: node }], forZones: [{ name: zone }] },
  }))
  await expectSeen(address, ['n1', 'n2', 'n3', 'n3'])
})

test('endpoints that end but serve are used where none is ready', async () => {
  const address = await createServer('ending')
  const ending = { ready: false, serving: true, terminating: true }
  const ended = { ready: false, serving: false, terminating: true }
  await putSlice('ending', ({ node }) => ({ conditions: node === 'n1' ? READY : ending }))
  await expectSeen(address, Array(4).fill('n1'))
  await putSlice('ending', ({ node }) => ({ conditions: node === 'n1' ? ended : ending }))
  await expectSeen(address, Array(4).fill('n2 n3'))
})

test('publishNotReadyAddresses: pods that are not ready are used as their slice says', async () => {
  const strict = await createServer('strict')
  const published = await createServer('published', { publishNotReadyAddresses: true })
  for (const name of ['strict', 'published']) await putSlice(name)
  const status = { conditions: [{ type: 'Ready', status: 'False' }] }
  await api.client.patch(PODS, { namespace: 'shop', name: 'on-n2' }, { status }, { subresource: 'status' })
  await expectSeen(strict, Array(4).fill('n1 n3'))
  await expectSeen(published, EVERYWHERE)
  const ready = { conditions: [{ type: 'Ready', status: 'True' }] }
  await api.client.patch(PODS, { namespace: 'shop', name: 'on-n2' }, { status: ready }, { subresource: 'status' })
  await expectSeen(strict, EVERYWHERE)
})

test('a service is reached by the addresses of its load balancer, by its externalIPs and by its NodePort on any node', async () => {
  await createServer('outside', { type: 'LoadBalancer', externalIPs: ['198.51.100.7'] })
  await putSlice('outside')
  const status = { loadBalancer: { ingress: [{ ip: '203.0.113.5' }] } }
  await api.client.patch(SERVICES, { namespace: 'shop', name: 'outside' }, { status }, { subresource: 'status' })
  for (const address of ['203.0.113.5', '198.51.100.7']) await expectSeen(address, EVERYWHERE)
  const addresses = [{ type: 'InternalIP', address: '192.0.2.3' }]
  await api.client.patch(NODES, { name: 'n3' }, { status: { addresses } }, { subresource: 'status' })
  const { spec } = await api.client.get(SERVICES, { namespace: 'shop', name: 'outside' })
  const [port] = (spec as { ports: readonly { nodePort: number }[] }).ports
  await expectSeen('192.0.2.3', EVERYWHERE, port?.nodePort)
})
