// Replicas of control over real sockets: each serves sidecars, the one that holds the Lease counts those of all.
import { Metadata, type ServiceError, status } from '@grpc/grpc-js'
import { afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { type Clock, systemClock } from '#shared/clock.ts'
import { loadContract } from '#shared/contract/load.ts'
import type { ReplicaReport } from '#shared/contract/replicas.ts'
import type { ObjectRef } from '#shared/decide/config.ts'
import { CHANNEL_OPTIONS, channelCredentials } from '#shared/identity/grpc-client.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { LEASES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import type { Model } from '../../control/model/compile.ts'
import { createReplicas, LEASE, type RunningReplicas } from '../../control/replicas/replicas.ts'
import type { KubeDocument } from '../../control/watch/kubernetes-documents.ts'
import {
  CATALOG,
  CATALOG_KEY,
  CONTROL_ID,
  destinationConfig,
  eventually,
  mesh,
  openRawStream,
  type RunningControl,
  startControl,
  startSidecar,
  TRUST_DOMAIN,
  untilTrue,
  WEB_ID,
} from '../support/discovery.ts'
import { type FakeApiServer, startFakeApiServer } from '../support/fake-api-server.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

const QUICK: ObjectRef = { kind: 'TrafficPolicy', namespace: 'shop', name: 'quick' }
const POLICY = 'TrafficPolicy shop/quick'
const MESH = mesh({
  destinations: { [CATALOG_KEY]: destinationConfig({ policy: { ...destinationConfig().policy, from: [QUICK] } }) },
})

const quickOf = (generation: number) => [{ ref: QUICK, generation, ancestors: [], problems: [] }]

/** Time goes on by itself, and as fast as a test wants it. */
class HurriedClock implements Clock {
  now = () => systemClock.now()
  wall = () => systemClock.wall()
  /** A deadline stays one: a busy machine does not keep to a fifth of a second. */
  after = (delayMs: number, run: () => void) => systemClock.after(delayMs < 5_000 ? delayMs / 50 : delayMs, run)
}

interface Replica {
  readonly control: RunningControl
  readonly running: RunningReplicas
  readonly documents: Watched<readonly KubeDocument[]>
}

let authority: TestAuthority
let api: FakeApiServer
let client: KubeClient
let closers: (() => Promise<void>)[]
const model = new Watched<Pick<Model, 'slicesOf'> | undefined>(undefined)

beforeAll(async () => {
  authority = await createTestAuthority()
})
beforeEach(async () => {
  closers = []
  api = await startFakeApiServer(LEASES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  ready('a', 'b')
})
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
  client.close()
  await api[Symbol.asyncDispose]()
})

/** Who stands behind the Service of control. */
function ready(...names: readonly string[]): void {
  const endpoints = names.map((name) => ({
    addresses: [],
    pod: `weft-system/${name}`,
    ready: true,
    serving: true,
    terminating: false,
  }))
  model.set({ slicesOf: (service) => (service === 'weft-system/weft-control' ? [{ ports: [], endpoints }] : []) })
}

async function start(replica: string): Promise<Replica> {
  const clock = new HurriedClock()
  const documents: Replica['documents'] = new Watched<readonly KubeDocument[]>(quickOf(1))
  const facts = { trustDomain: TRUST_DOMAIN, systemNamespace: 'weft-system', controlService: 'weft-control' }
  const parts = { client, model, documents, replica, clock, random: () => 0, log: silentLog }
  const replicas = createReplicas({ ...facts, ...parts })
  const control = await startControl(authority, { replicas, model: MESH })
  const { sidecars } = control.server
  const running = replicas.start({ sidecars, identity: control.identity, address: control.address })
  closers.push(
    () => control.server.close(),
    () => running.close(),
  )
  return { control, running, documents }
}

/** The first to start holds the Lease. */
async function startBoth(): Promise<readonly [Replica, Replica]> {
  const a = await start('a')
  await eventually(a.running.leader.isLeader, (is) => is)
  return [a, await start('b')]
}

async function sidecarAt({ control }: Replica, pod: string): Promise<void> {
  const sidecar = await startSidecar(authority, control.address, { pod })
  closers.push(() => sidecar.discovery.close())
  await sidecar.discovery.find(CATALOG)
}

const countAt = ({ running }: Replica) => running.counts.standings().find(({ object }) => object === POLICY)
const isWhole = ({ running }: Replica) => {
  running.counts.standings()
  return running.counts.missing(POLICY, 1).length === 0
}

test('the holder of the Lease counts the sidecars of all replicas', async () => {
  const [a, b] = await startBoth()
  await sidecarAt(a, 'web-0')
  await sidecarAt(b, 'web-1')
  await sidecarAt(b, 'web-2')
  await untilTrue(() => countAt(a)?.applied === 3)
  await untilTrue(() => isWhole(a))
  expect(countAt(a)).toEqual({ object: POLICY, applied: 3, of: 3, lagging: [], refused: [] })
  expect(a.running.known().counted).toEqual({ scope: 'mesh', missing: [] })
  expect(b.running.known()).toMatchObject({ counted: { scope: 'replica', replica: 'b', leader: 'a' } })
  expect(b.running.known().standings.find(({ object }) => object === POLICY)?.of).toBe(2)
})

test('which sidecar lags at another replica is told by its name', async () => {
  const [a, b] = await startBoth()
  await using stream = await openRawStream(authority, b.control.address, { pod: 'web-7' })
  await stream.next()
  stream.send({ subscribe: { resources: [{ type: 'DESTINATION', name: CATALOG_KEY, version: '' }] } })
  await untilTrue(() => countAt(a)?.of === 1)
  expect(countAt(a)).toMatchObject({ applied: 0, lagging: ['web-7'], refused: [] })
  const { update } = await stream.next()
  const version = update?.resources.find(({ type }) => type === 'DESTINATION')?.version ?? ''
  stream.send({ report: { applied: [{ type: 'DESTINATION', name: CATALOG_KEY, version, error: 'too new' }] } })
  await untilTrue(() => countAt(a)?.refused.length === 1)
  expect(countAt(a)?.refused).toEqual([{ pod: 'web-7', error: 'too new' }])
})

test('a replica that has not reported, or has an older text of the object, is missing', async () => {
  const [a, b] = await startBoth()
  await untilTrue(() => isWhole(a))
  ready('a', 'b', 'c')
  expect(a.running.counts.missing(POLICY, 1)).toEqual(['c'])
  ready('a', 'b')
  a.documents.set(quickOf(2))
  a.running.counts.standings()
  expect(a.running.counts.missing(POLICY, 2)).toEqual(['b'])
  b.documents.set(quickOf(2))
  await untilTrue(() => a.running.counts.missing(POLICY, 2).length === 0)
})

test('who takes the Lease over is told everything anew, and knows until then that something is missing', async () => {
  const [a, b] = await startBoth()
  await sidecarAt(a, 'web-0')
  await sidecarAt(b, 'web-1')
  await untilTrue(() => countAt(a)?.applied === 2)
  let missing: readonly string[] | undefined
  b.running.leader.isLeader.subscribe(() => {
    b.running.counts.standings()
    // On a machine that does something else for a second a Lease is lost and taken again.
    missing ??= b.running.counts.missing(POLICY, 1)
  })
  await a.running.leader.resign()
  await untilTrue(() => isWhole(b))
  expect(missing).toEqual(['a'])
  expect(countAt(b)).toMatchObject({ applied: 2, of: 2 })
  expect(a.running.known().counted).toEqual({ scope: 'replica', replica: 'a', leader: 'b' })
})

test('a sidecar that goes from one replica to the other is counted once all the way', async () => {
  const [a, b] = await startBoth()
  const sidecar = await startSidecar(authority, b.control.address, { pod: 'web-0' })
  await sidecar.discovery.find(CATALOG)
  await untilTrue(() => countAt(a)?.applied === 1)
  await sidecar[Symbol.asyncDispose]()
  await untilTrue(() => b.control.server.sidecars.pods().length === 0)
  expect(countAt(a)).toMatchObject({ applied: 1, of: 1 })
  await sidecarAt(a, 'web-0')
  const counts = new Set<number | undefined>()
  await untilTrue(() => {
    counts.add(countAt(a)?.of)
    return a.control.server.sidecars.objects().some(({ object, applied }) => object === POLICY && applied === 1)
  })
  expect([...counts]).toEqual([1])
  expect(countAt(a)).toMatchObject({ applied: 1, of: 1 })
})

describe('the report of a replica', () => {
  async function reportAs(id: string, at: Replica, replica: string): Promise<number> {
    const own = await authority.issue(id)
    const Client = loadContract('replicas')
    const credentials = channelCredentials({ roots: authority.roots, server: CONTROL_ID, own })
    const grpc = new Client(at.control.address, credentials, CHANNEL_OPTIONS)
    const { promise, resolve } = Promise.withResolvers<number>()
    const call = grpc.Report(new Metadata(), (error: ServiceError | null) => resolve(error?.code ?? status.OK))
    call.on('error', () => {})
    const report: ReplicaReport = { replica, changed: [], gone: [], compiled: [], forgotten: [], isWhole: true }
    call.write(report)
    call.end()
    return promise.finally(() => grpc.close())
  }
  const idOf = (namespace: string, account: string) => `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${account}`

  test.each([
    ['of control itself is taken', CONTROL_ID, 'c', status.OK],
    ['of a workload is refused', WEB_ID, 'c', status.PERMISSION_DENIED],
    ['of another part of Weft is refused', idOf('weft-system', 'weft-certs'), 'c', status.PERMISSION_DENIED],
    ['of a weft-control in another namespace is refused', idOf('shop', 'weft-control'), 'c', status.PERMISSION_DENIED],
    ['in the name of who counts is refused', CONTROL_ID, 'a', status.INVALID_ARGUMENT],
    ['without a name is refused', CONTROL_ID, '', status.INVALID_ARGUMENT],
  ])('%s', async (_, id, replica, code) => {
    const [a] = await startBoth()
    expect(await reportAs(id, a, replica)).toBe(code)
  })

  test('is refused by who does not hold the Lease', async () => {
    const [, b] = await startBoth()
    expect(await reportAs(CONTROL_ID, b, 'c')).toBe(status.FAILED_PRECONDITION)
    expect(api.object(LEASES, `weft-system/${LEASE}`)?.['spec']).toMatchObject({ holderIdentity: 'a' })
  })
})
