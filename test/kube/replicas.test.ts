// Two real processes of control on one real API server, with sidecars between them: one is killed, then the one that writes, then one
// is told to end. At every moment each sidecar has a stream or comes back, and no count is written that leaves some of them out.
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { createInformer, type Informer } from '#shared/kube/informer.ts'
import { type KubeObject, LEASES, TRAFFIC_POLICIES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { customResourceDefinitions } from '#shared/resources/crd/definitions.ts'
import { WEFT_NAMESPACE } from '../../cli/install/charts.ts'
import { LEASE } from '../../control/replicas/replicas.ts'
import type { Destination } from '../../sidecar/discover/destination.ts'
import { type ApiServer, gatewayApiCrd, startApiServer } from '../support/apiserver.ts'
import { grantAsChart } from '../support/chart-rules.ts'
import { type ClusterIp, startClusterIp } from '../support/cluster-ip.ts'
import { createNamespace, createReadyPod, createService, putSlice } from '../support/cluster-objects.ts'
import { type ControlProcess, startControlProcess } from '../support/control-process.ts'
import { type RunningSidecar, startSidecar } from '../support/discovery.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

const SIDECARS = 8
const POLICY = { namespace: 'shop', name: 'quick' }

interface Told {
  readonly applied: string
  readonly generation: number
  readonly at: number
}

let api: ApiServer
let authority: TestAuthority
let address: ClusterIp
let catalog: string
let informer: Informer<KubeObject>
const processes: ControlProcess[] = []
const sidecars: RunningSidecar[] = []
const destinations: Destination[] = []
/** Every status that was written, in order. */
const told: Told[] = []
let losses = 0

beforeAll(async () => {
  api = await startApiServer()
  authority = await createTestAuthority()
  address = await startClusterIp()
  for (const definition of customResourceDefinitions()) await api.installCrd(definition)
  for (const plural of ['httproutes', 'referencegrants']) await api.installCrd(await gatewayApiCrd(plural))
  for (const namespace of ['shop', WEFT_NAMESPACE]) await createNamespace(api.client, namespace)
  await grantAsChart(api.client)
  await createService(api.client, WEFT_NAMESPACE, 'weft-control')
  const { spec } = (await createService(api.client, 'shop', 'catalog')) as KubeObject & { spec: { clusterIP: string } }
  catalog = spec.clusterIP
  for (let at = 0; at < SIDECARS; at++) {
    await createReadyPod(api.client, 'shop', `web-${at}`, { app: 'web', address: `10.244.1.${at + 1}` })
  }
  const parts = { clock: systemClock, random: Math.random, log: silentLog }
  const project = (object: KubeObject) => object
  informer = createInformer({ ...parts, client: api.client, kind: TRAFFIC_POLICIES, namespace: 'shop', project })
  informer.objects.subscribe((objects) => note(objects.get('shop/quick')))
}, 240_000)
afterAll(async () => {
  for (const sidecar of sidecars) await sidecar[Symbol.asyncDispose]()
  for (const process of processes) await process[Symbol.asyncDispose]()
  informer?.close()
  await address?.[Symbol.asyncDispose]()
  await api?.[Symbol.asyncDispose]()
}, 180_000)

interface PolicyStatus {
  readonly applied?: string
  readonly ancestors?: readonly { readonly conditions: readonly { observedGeneration: number }[] }[]
}

function note(object: KubeObject | undefined): void {
  const { applied, ancestors } = (object?.['status'] ?? {}) as PolicyStatus
  const generation = ancestors?.[0]?.conditions.at(-1)?.observedGeneration
  if (applied === undefined || generation === undefined) return
  const last = told.at(-1)
  if (last?.applied !== applied || last.generation !== generation) told.push({ applied, generation, at: Date.now() })
}

async function start(name: string): Promise<ControlProcess> {
  const process = await startControlProcess({ authority, kubeconfig: await api.kubeconfig('control'), name })
  processes.push(process)
  return process
}

/** As kube-proxy and the controller of EndpointSlices would see it. */
async function ready(...replicas: readonly ControlProcess[]): Promise<void> {
  address.set(...replicas.map(({ port }) => port))
  const addresses = Object.fromEntries(replicas.map(({ name }, at) => [name, `10.244.0.${at + 1}`]))
  await putSlice(api.client, WEFT_NAMESPACE, 'weft-control', addresses)
}

async function until(what: string, test: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpAt = Date.now() + 90_000
  while (!(await test())) {
    if (Date.now() > giveUpAt) throw new Error(`not within 90 s: ${what}; told ${JSON.stringify(told)}`)
    await sleep(50)
  }
}

const countOf = async (replica: ControlProcess) => (await replica.status()).sidecars.length
const holder = async () => {
  const lease = await api.client.get(LEASES, { namespace: WEFT_NAMESPACE, name: LEASE })
  return (lease['spec'] as { holderIdentity: string }).holderIdentity
}
const isTold = (generation: number) => told.at(-1)?.applied === '8 of 8' && told.at(-1)?.generation === generation
const timeouts = () => destinations.map(({ config }) => config.current.policy.requestTimeoutMs)

async function changePolicy(seconds: number): Promise<void> {
  await api.client.patch(TRAFFIC_POLICIES, POLICY, { spec: { timeouts: { request: `${seconds}s` } } })
}

test('sidecars spread over two replicas, and the status counts those of both', async () => {
  const first = await start('weft-control-a')
  await until('the first leads', async () => (await holder().catch(() => '')) === 'weft-control-a')
  const second = await start('weft-control-b')
  await ready(first, second)
  for (let at = 0; at < SIDECARS; at++) {
    const sidecar = await startSidecar(authority, address.address, { pod: `web-${at}`, random: Math.random })
    sidecars.push(sidecar)
    const found = await sidecar.discovery.find({ host: catalog, port: 80 })
    if (found === null) throw new Error('catalog is not found')
    destinations.push(found)
    sidecar.discovery.isConnected.subscribe((is) => {
      if (!is) losses++
    })
  }
  expect([await countOf(first), await countOf(second)]).toEqual([4, 4])
  const targetRefs = [{ group: '', kind: 'Service', name: 'catalog' }]
  await api.client.create(TRAFFIC_POLICIES, { metadata: POLICY, spec: { targetRefs, timeouts: { request: '1s' } } })
  await until('all are counted', () => isTold(1))
  expect((await first.status()).counted).toEqual({ scope: 'mesh', missing: [] })
  expect((await second.status()).counted).toEqual({
    scope: 'replica',
    replica: 'weft-control-b',
    leader: 'weft-control-a',
  })
  const [ofLeader, ofOther] = [await first.metrics(), await second.metrics()]
  for (const page of [ofLeader, ofOther]) {
    expect(page).toContain('\nweft_control_sidecars 4\n')
    expect(page).toContain('\nweft_control_informer_synced{kind="trafficpolicies"} 1\n')
    expect(page).toContain('\nweft_control_objects{kind="trafficpolicies"} 1\n')
    expect(page).toMatch(/\nweft_control_compile_duration_seconds_count [1-9]/)
    expect(page).not.toContain('weft_control_informer_synced{kind="pods"} 0')
  }
  expect(ofLeader).toContain('\nweft_control_leader 1\n')
  expect(ofLeader).toMatch(/\nweft_control_status_writes_total{outcome="written"} [1-9]/)
  expect(ofOther).toContain('\nweft_control_leader 0\n')
  expect(ofOther).toContain('\nweft_control_status_writes_total{outcome="written"} 0\n')
})

test('a replica is killed: its sidecars go to the other, miss no change, and stay counted all the while', async () => {
  const [first, second] = processes as [ControlProcess, ControlProcess]
  losses = 0
  await second.end('SIGKILL')
  await ready(first)
  await changePolicy(2)
  await until('all have a stream', () => sidecars.every(({ discovery }) => discovery.isConnected.current))
  expect(losses).toBe(4)
  await until('all are at the other', async () => (await countOf(first)) === SIDECARS)
  await until('all know the change', () => timeouts().every((each) => each === 2000))
  await until('it is told', () => isTold(2))
})

test('the replica that writes is killed: the other takes the Lease, counts all sidecars and writes', async () => {
  const [first] = processes as [ControlProcess]
  const third = await start('weft-control-c')
  await ready(first, third)
  await until('it has compiled', async () => (await third.status()).objects.length > 0)
  await first.end('SIGKILL')
  await ready(third)
  await changePolicy(3)
  await until('all know the change', () => timeouts().every((each) => each === 3000))
  await until('it is told', () => isTold(3))
  expect(await holder()).toBe('weft-control-c')
  expect(await countOf(third)).toBe(SIDECARS)
})

test('the replica that writes is told to end: the Lease is free at once, and no sidecar loses its stream', async () => {
  const third = processes[2] as ControlProcess
  const fourth = await start('weft-control-d')
  await ready(third, fourth)
  losses = 0
  const endedAt = Date.now()
  const ended = third.end('SIGTERM')
  await ready(fourth)
  await until('the other leads', async () => (await holder()) === 'weft-control-d')
  expect(Date.now() - endedAt).toBeLessThan(9_000)
  await changePolicy(4)
  expect(await ended).toBe(0)
  expect(losses).toBe(0)
  expect(await countOf(fourth)).toBe(SIDECARS)
  await until('all know the change', () => timeouts().every((each) => each === 4000))
  await until('it is told', () => isTold(4))
})

test('no count was ever told for whole that left a sidecar out, nor two within ten seconds', () => {
  expect(told.map(({ generation }) => generation).filter((one, at, all) => one !== all[at - 1])).toEqual([1, 2, 3, 4])
  const whole = told.filter(({ applied }) => !applied.startsWith('at least'))
  expect(whole.filter(({ applied }) => !applied.endsWith(' of 8'))).toEqual([])
  const gaps = told.slice(1).map(({ at }, index) => at - (told[index]?.at ?? 0))
  // Seen through a watch, which may tell one late: on a busy machine by a second or two.
  expect(gaps.filter((gap) => gap < 7_500)).toEqual([])
})
