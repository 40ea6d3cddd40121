import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { type Leader, startLeader } from '#shared/kube/leader.ts'
import { HTTP_ROUTES, type KubeKind, type KubeObject, LEASES, TRAFFIC_POLICIES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { type FakeApiServer, startFakeApiServer } from '../../test/support/fake-api-server.ts'
import type { Model } from '../model/compile.ts'
import { compile } from '../model/compile.ts'
import { refusedStatuses } from '../model/refused.ts'
import { CATALOG, load, world } from '../model/shop.fixture.ts'
import { LEASE, type MeshCounts } from '../replicas/replicas.ts'
import type { ObjectStanding } from '../serve/standings.ts'
import { type KubeDocument, readPolicy, readRoute } from '../watch/kubernetes-documents.ts'
import { startStatusWriter } from './writer.ts'

let api: FakeApiServer
let client: KubeClient
let clock: ManualClock
let running: { close(): Promise<void> }[]
const model = new Watched<Model | undefined>(undefined)
const documents = new Watched<readonly KubeDocument[]>([])
let standings: ObjectStanding[]
let missing: string[]

beforeEach(async () => {
  api = await startFakeApiServer(LEASES, HTTP_ROUTES, TRAFFIC_POLICIES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  clock = new ManualClock(Date.parse('2026-01-31T12:00:00.000Z'))
  running = []
  standings = []
  missing = []
  documents.set([])
  model.set(undefined)
})
afterEach(async () => {
  for (const one of running) await one.close()
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

const counts: MeshCounts = { standings: () => standings, missing: () => missing }

interface Replica {
  readonly leader: Leader
  close(): Promise<void>
}

function start(identity: string): Replica {
  const parts = { client, clock, log: silentLog }
  const leader = startLeader({ ...parts, namespace: 'weft-system', name: LEASE, identity, random: () => 0 })
  const writer = startStatusWriter({ ...parts, leader, model, documents, counts })
  const replica = {
    leader,
    async close() {
      await writer.close()
      await leader.close()
    },
  }
  running.push(replica)
  return replica
}

/** Turns of the event loop until the API server has seen a request that begins so, while time passes slowly. */
async function asked(begin: string, times = 1): Promise<void> {
  const count = () => api.requests.filter((line) => line.startsWith(begin)).length
  while (count() < times) {
    clock.advance(20)
    await new Promise((resolve) => setTimeout(resolve, 1))
  }
}
/** So many turns in a row without a request; a time would be over at once where this process waits for a processor. */
async function quiet(turns: number): Promise<void> {
  let seen = api.requests.length
  for (let calm = 0; calm < turns; calm++) {
    await new Promise((resolve) => setTimeout(resolve, 1))
    if (api.requests.length !== seen) [seen, calm] = [api.requests.length, 0]
  }
}
const settled = () => quiet(30)
const patches = (kind: string) => api.requests.filter((line) => line.startsWith('PATCH') && line.includes(kind)).length

const ROUTE = 'PATCH /apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/split/status'
const statusOf = <T>(kind: KubeKind, name: string) => (api.object(kind, name) ?? { status: {} })['status'] as T
const parentsOf = () => statusOf<{ parents: object[] }>(HTTP_ROUTES, 'shop/split').parents
const entry = (name: string) =>
  statusOf<{ ancestors: { conditions: object[] }[] }>(TRAFFIC_POLICIES, `shop/${name}`).ancestors[0]

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

test('a route that lost its Service before this replica led loses its entry too', async () => {
  const gateway = [{ group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' }]
  const foreign = { controllerName: 'example.com/gateway', parentRef: { name: 'edge' }, conditions: [] }
  const stale = { controllerName: 'weft.dev/controller', parentRef: { name: 'catalog' }, conditions: [] }
  api.put(HTTP_ROUTES, route({ parentRefs: gateway }, { parents: [stale, foreign] }))
  recompile()
  start('control-a')
  await asked(ROUTE)
  await settled()
  expect(parentsOf()).toEqual([foreign])
})

test('a policy that no longer targets a Service loses the entry of that one alone', async () => {
  const old = policy('old', '2026-01-01T00:00:00Z')
  const targets = (...names: string[]) => ({
    targetRefs: names.map((name) => ({ group: '', kind: 'Service', name })),
    timeouts: { request: '3s' },
  })
  const ancestors = () => statusOf<{ ancestors: { ancestorRef: object }[] }>(TRAFFIC_POLICIES, 'shop/old').ancestors
  api.put(TRAFFIC_POLICIES, { ...old, spec: targets('catalog', 'nowhere') })
  recompile()
  start('control-a')
  await asked('PATCH /apis/weft.dev')
  await settled()
  expect(ancestors()).toMatchObject([
    { ancestorRef: { name: 'catalog' }, conditions: [{ reason: 'Accepted' }, {}] },
    {
      ancestorRef: { name: 'nowhere' },
      conditions: [{ status: 'False', reason: 'TargetNotFound' }, { status: 'False' }],
    },
  ])
  api.put(TRAFFIC_POLICIES, {
    ...old,
    metadata: { ...old.metadata, generation: 2 },
    spec: targets('catalog'),
    status: api.object(TRAFFIC_POLICIES, 'shop/old')?.['status'],
  })
  recompile()
  await asked('PATCH /apis/weft.dev', 2)
  await settled()
  expect(ancestors()).toMatchObject([{ ancestorRef: { name: 'catalog' } }])
  expect(ancestors()).toHaveLength(1)
})

test('what somebody else wrote in the same moment is not lost, and control writes after it', async () => {
  api.put(HTTP_ROUTES, route())
  recompile()
  api.refuse(ROUTE, 409)
  start('control-a')
  await asked(ROUTE)
  const foreign = { controllerName: 'example.com/gateway', parentRef: { name: 'edge' }, conditions: [] }
  api.put(HTTP_ROUTES, route({}, { parents: [foreign] }))
  await asked(ROUTE, 2)
  await settled()
  expect(parentsOf()).toHaveLength(2)
  expect(parentsOf()[0]).toEqual(foreign)
})

describe('while a replica of control has not reported', () => {
  const told = { observedGeneration: 1, lastTransitionTime: '2026-01-01T00:00:00Z' }
  const whole = [
    { type: 'Accepted', status: 'True', reason: 'Accepted', message: '', ...told },
    { type: 'Programmed', status: 'True', reason: 'Programmed', message: 'applied by 42 of 42 sidecars', ...told },
  ]
  const ancestorRef = { group: '', kind: 'Service', name: 'catalog' }
  const putOld = (conditions: object[]) => {
    const status = {
      ancestors: [{ ancestorRef, controllerName: 'weft.dev/controller', conditions }],
      applied: '42 of 42',
      lagging: [],
    }
    api.put(TRAFFIC_POLICIES, { ...policy('old', '2026-01-01T00:00:00Z'), status })
    recompile()
  }
  const status = () =>
    statusOf<{ applied: string; ancestors: { conditions: object[] }[] }>(TRAFFIC_POLICIES, 'shop/old')
  const pass = async (ms: number) => {
    for (let gone = 0; gone < ms; gone += 250) {
      clock.advance(250)
      await quiet(3)
    }
    await settled()
  }
  beforeEach(() => {
    standings = [{ object: 'TrafficPolicy shop/old', applied: 21, of: 21, lagging: [], refused: [] }]
    missing = ['control-b']
  })

  test('a smaller count takes the place of the whole one only after half a minute, as "at least"', async () => {
    putOld(whole)
    start('control-a')
    await pass(29_000)
    expect(status()).toMatchObject({ applied: '42 of 42', ancestors: [{ conditions: whole }] })
    expect(patches('trafficpolicies')).toBe(0)
    await pass(16_000)
    const message = 'applied by at least 21 of 21 sidecars; no full report yet of the control replica control-b'
    expect(status()).toMatchObject({
      applied: 'at least 21 of 21',
      ancestors: [{ conditions: [{}, { status: 'Unknown', reason: 'Pending', message }] }],
    })
    missing = []
    standings = [{ object: 'TrafficPolicy shop/old', applied: 42, of: 42, lagging: [], refused: [] }]
    await pass(12_000)
    expect(status()).toMatchObject({ applied: '42 of 42', ancestors: [{ conditions: [{}, { status: 'True' }] }] })
  })

  test('what else changed is told after three seconds, with the count as it was', async () => {
    const [accepted, programmed] = whole
    putOld([{ ...accepted, status: 'False', reason: 'TargetNotFound' }, programmed as object])
    start('control-a')
    await pass(2_500)
    expect(patches('trafficpolicies')).toBe(0)
    await pass(2_000)
    expect(patches('trafficpolicies')).toBe(1)
    expect(status()).toMatchObject({
      applied: '42 of 42',
      ancestors: [{ conditions: [{ status: 'True', reason: 'Accepted' }, programmed as object] }],
    })
  })

  test('a report that comes within three seconds makes the first word the last', async () => {
    api.put(TRAFFIC_POLICIES, policy('old', '2026-01-01T00:00:00Z'))
    recompile()
    start('control-a')
    await pass(1_500)
    expect(patches('trafficpolicies')).toBe(0)
    missing = []
    standings = [{ object: 'TrafficPolicy shop/old', applied: 42, of: 42, lagging: [], refused: [] }]
    await pass(1_000)
    expect(status()).toMatchObject({ applied: '42 of 42' })
    await pass(20_000)
    expect(patches('trafficpolicies')).toBe(1)
  })
})

test('a new leader writes nothing to what the old one may have written within ten seconds', async () => {
  api.put(TRAFFIC_POLICIES, policy('old', '2026-01-01T00:00:00Z'))
  recompile()
  const first = start('control-a')
  await asked('PATCH /apis/weft.dev')
  await settled()
  await first.close()
  standings = [{ object: 'TrafficPolicy shop/old', applied: 1, of: 1, lagging: [], refused: [] }]
  const closedAt = clock.now()
  const second = start('control-b')
  await asked('PATCH /apis/weft.dev', 2)
  expect(second.leader.isSuccessor).toBe(true)
  expect(clock.now() - closedAt).toBeGreaterThanOrEqual(10_000)
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
