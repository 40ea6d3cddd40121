import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { HTTP_ROUTES, type KubeKind, type KubeObject, LEASES, TRAFFIC_POLICIES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { type FakeApiServer, startFakeApiServer } from '../../test/support/fake-api-server.ts'
import type { Model } from '../model/compile.ts'
import { compile } from '../model/compile.ts'
import { refusedStatuses } from '../model/refused.ts'
import { CATALOG, load, world } from '../model/shop.fixture.ts'
import type { ObjectStanding } from '../serve/sidecars.ts'
import { type KubeDocument, readPolicy, readRoute } from '../watch/kubernetes-documents.ts'
import { LEASE, type StatusWriter, startStatusWriter } from './writer.ts'

let api: FakeApiServer
let client: KubeClient
let clock: ManualClock
let writers: StatusWriter[]
const model = new Watched<Model | undefined>(undefined)
const documents = new Watched<readonly KubeDocument[]>([])
let standings: ObjectStanding[]

beforeEach(async () => {
  api = await startFakeApiServer(LEASES, HTTP_ROUTES, TRAFFIC_POLICIES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  clock = new ManualClock(Date.parse('2026-01-31T12:00:00.000Z'))
  writers = []
  standings = []
  model.set(undefined)
})
afterEach(async () => {
  for (const writer of writers) await writer.close()
  client.close()
  await api[Symbol.asyncDispose]()
})

const route = (spec: object = {}, status: object = { parents: [] }): KubeObject => ({
  metadata: { namespace: 'shop', name: 'split', generation: 3 },
  spec: { parentRefs: [{ group: '', kind: 'Service', name: 'catalog' }], rules: [{}], ...spec },
  status,
})
const policy = (name: string, createdAt: string): KubeObject => ({
  metadata: { namespace: 'shop', name, generation: 1, creationTimestamp: createdAt },
  spec: { targetRefs: [{ group: '', kind: 'Service', name: 'catalog' }], timeouts: { request: '3s' } },
})

/** Everything that lies in the API server, as control would have compiled it. */
function recompile(): void {
  const routes = [api.object(HTTP_ROUTES, 'shop/split')].flatMap((object) => (object && readRoute(object)) ?? [])
  const policies = ['old', 'young'].flatMap((name) => api.object(TRAFFIC_POLICIES, `shop/${name}`) ?? [])
  const read = [...routes, ...policies.map(readPolicy('TrafficPolicy'))]
  const compiled = compile([...load(CATALOG), ...read.flatMap(({ loaded }) => loaded ?? [])], world([]))
  documents.set(read)
  model.set({ ...compiled, statuses: [...compiled.statuses, ...refusedStatuses(read)] })
}

function start(replica: string): StatusWriter {
  const sidecars = { objects: () => standings }
  const options = { client, model, documents, sidecars, namespace: 'weft-system', replica, clock, log: silentLog }
  const writer = startStatusWriter({ ...options, random: () => 0 })
  writers.push(writer)
  return writer
}

/** Turns of the event loop until the API server has seen a request that begins so, while time passes slowly. */
async function asked(begin: string, times = 1): Promise<void> {
  const count = () => api.requests.filter((line) => line.startsWith(begin)).length
  while (count() < times) {
    clock.advance(20)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 50))
const patches = (kind: string) => api.requests.filter((line) => line.startsWith('PATCH') && line.includes(kind)).length

const ROUTE = 'PATCH /apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/split/status'
const statusOf = <T>(kind: KubeKind, name: string) => (api.object(kind, name) ?? { status: {} })['status'] as T
const parentsOf = () => statusOf<{ parents: object[] }>(HTTP_ROUTES, 'shop/split').parents
const entry = (name: string) =>
  statusOf<{ ancestors: { conditions: object[] }[] }>(TRAFFIC_POLICIES, `shop/${name}`).ancestors[0]

const HEAD = { observedGeneration: 3, lastTransitionTime: '2026-01-31T12:00:00Z' }
const at = () => expect.stringMatching(/^2026-01-31T12:0\d:\d\dZ$/)

test('a route is told by parent whether it is accepted, resolved and in force', async () => {
  api.put(HTTP_ROUTES, route())
  recompile()
  standings = [{ object: 'HTTPRoute shop/split', applied: 2, of: 2, lagging: [], refused: [] }]
  start('control-a')
  await asked(ROUTE)
  await settled()
  const rest = { observedGeneration: 3, lastTransitionTime: at() }
  expect(parentsOf()).toEqual([
    {
      parentRef: { group: '', kind: 'Service', name: 'catalog' },
      controllerName: 'weft.dev/controller',
      conditions: [
        { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', ...rest },
        { type: 'ResolvedRefs', status: 'True', reason: 'ResolvedRefs', message: '', ...rest },
        { type: 'Programmed', status: 'True', reason: 'Programmed', message: '', ...rest },
      ],
    },
  ])
})

test('entries of other controllers stay, and times of conditions that did not change', async () => {
  const foreign = { controllerName: 'example.com/gateway', parentRef: { name: 'edge' }, conditions: [] }
  const condition = { type: 'Accepted', status: 'True', reason: 'Other', message: 'x', ...HEAD }
  const parentRef = { name: 'catalog', kind: 'Service', group: '' }
  const own = {
    controllerName: 'weft.dev/controller',
    parentRef,
    conditions: [{ ...condition, lastTransitionTime: '2020-01-01T00:00:00Z' }],
  }
  api.put(HTTP_ROUTES, route({}, { parents: [own, foreign] }))
  recompile()
  start('control-a')
  await asked(ROUTE)
  await settled()
  expect(parentsOf()[0]).toEqual(foreign)
  expect(parentsOf()[1]).toMatchObject({
    conditions: [{ reason: 'Accepted', lastTransitionTime: '2020-01-01T00:00:00Z' }, {}, { status: 'Unknown' }],
  })
})

test('of two policies that say the same the younger is told who won, and both how far they are applied', async () => {
  api.put(TRAFFIC_POLICIES, policy('young', '2026-01-02T00:00:00Z'))
  api.put(TRAFFIC_POLICIES, policy('old', '2026-01-01T00:00:00Z'))
  recompile()
  standings = [{ object: 'TrafficPolicy shop/old', applied: 41, of: 42, lagging: ['shop/web-3'], refused: [] }]
  start('control-a')
  await asked('PATCH /apis/weft.dev', 2)
  await settled()
  expect(entry('young')?.conditions).toMatchObject([
    {
      type: 'Accepted',
      status: 'False',
      reason: 'Conflicted',
      message: expect.stringContaining('spec.timeouts.request is set by TrafficPolicy shop/old'),
    },
    { type: 'Programmed', status: 'Unknown' },
  ])
  expect(entry('old')?.conditions).toMatchObject([
    { type: 'Accepted', status: 'True' },
    { type: 'Programmed', status: 'False', message: 'applied by 41 of 42 sidecars; shop/web-3 lags' },
  ])
})

test('a refused object is told why, in the generation that was read', async () => {
  api.put(HTTP_ROUTES, route({ rules: [{ filters: [{ type: 'URLRewrite' }] }] }))
  recompile()
  start('control-a')
  await asked(ROUTE)
  await settled()
  expect(parentsOf()).toMatchObject([
    {
      conditions: [
        {
          type: 'Accepted',
          status: 'False',
          reason: 'UnsupportedValue',
          message: expect.stringContaining('spec.rules[0].filters'),
        },
        { type: 'Programmed', status: 'False' },
      ],
    },
  ])
})

test('nothing is written of a text that is not the one compiled', async () => {
  api.put(HTTP_ROUTES, route())
  recompile()
  api.put(HTTP_ROUTES, { ...route(), metadata: { namespace: 'shop', name: 'split', generation: 4 } })
  start('control-a')
  await asked('GET /apis/gateway.networking.k8s.io')
  await settled()
  expect(patches('httproutes')).toBe(0)
})

test('one object is written at most once in ten seconds, and not at all when nothing differs', async () => {
  api.put(TRAFFIC_POLICIES, policy('old', '2026-01-01T00:00:00Z'))
  recompile()
  start('control-a')
  await asked('PATCH /apis/weft.dev')
  await settled()
  const firstAt = clock.now()
  for (let applied = 1; applied <= 8; applied++) {
    standings = [{ object: 'TrafficPolicy shop/old', applied, of: 8, lagging: [], refused: [] }]
    recompile()
    clock.advance(1000)
    await settled()
  }
  expect(patches('trafficpolicies')).toBe(1)
  await asked('PATCH /apis/weft.dev', 2)
  await settled()
  expect(clock.now() - firstAt).toBeGreaterThanOrEqual(9_900)
  expect(entry('old')?.conditions).toMatchObject([{}, { status: 'True', message: 'applied by 8 of 8 sidecars' }])
  for (let turn = 0; turn < 10; turn++) {
    clock.advance(5000)
    await settled()
  }
  expect(patches('trafficpolicies')).toBe(2)
})

test('a route that has no Service as parent any more loses its entry', async () => {
  api.put(HTTP_ROUTES, route())
  recompile()
  start('control-a')
  await asked(ROUTE)
  await settled()
  const gateway = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' }]
  api.put(HTTP_ROUTES, route({ parentRefs: gateway }, api.object(HTTP_ROUTES, 'shop/split')?.['status'] as object))
  recompile()
  await asked(ROUTE, 2)
  await settled()
  expect(parentsOf()).toEqual([])
})

test('of two replicas one writes, and the other when that one has gone', async () => {
  api.put(HTTP_ROUTES, route())
  recompile()
  const first = start('control-a')
  await asked(ROUTE)
  start('control-b')
  await settled()
  const holder = () => (api.object(LEASES, `weft-system/${LEASE}`) ?? { spec: {} })['spec']
  expect(holder()).toMatchObject({ holderIdentity: 'control-a' })
  await first.close()
  api.put(HTTP_ROUTES, route({}, { parents: [] }))
  await asked(ROUTE, 2)
  expect(holder()).toMatchObject({ holderIdentity: 'control-b' })
  expect(parentsOf()).toHaveLength(1)
})
