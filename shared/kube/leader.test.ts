import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import { type FakeApiServer, startFakeApiServer } from '../../test/support/fake-api-server.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import { type Leader, startLeader } from './leader.ts'
import { CLUSTER_ROLES, LEASES } from './objects.ts'

let api: FakeApiServer
let client: KubeClient
let leaders: Leader[]

beforeEach(async () => {
  leaders = []
  api = await startFakeApiServer(LEASES, CLUSTER_ROLES)
  client = counted(createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' }))
})
afterEach(async () => {
  for (const leader of leaders) await leader.close()
  client.close()
  await api[Symbol.asyncDispose]()
})

function candidate(identity: string, address = '') {
  const clock = new ManualClock()
  const leader = startLeader({
    client,
    namespace: 'weft-system',
    name: 'x',
    identity,
    address,
    clock,
    random: () => 0,
    log: silentLog,
  })
  leaders.push(leader)
  return { clock, leader }
}

/** Time passes in steps, and each request is answered before the next step. */
async function pass(clock: ManualClock, ms: number): Promise<void> {
  for (let gone = 0; gone < ms; gone += 500) {
    await settled()
    clock.advance(500)
  }
  await settled()
}

let underWay = 0
function counted(kube: KubeClient): KubeClient {
  const count = async <T>(promise: Promise<T>): Promise<T> => {
    underWay++
    return promise.finally(() => underWay--)
  }
  return {
    ...kube,
    get: (...call) => count(kube.get(...call)),
    create: (...call) => count(kube.create(...call)),
    replace: (...call) => count(kube.replace(...call)),
  }
}

async function settled(): Promise<void> {
  do await new Promise((resolve) => setImmediate(resolve))
  while (underWay > 0)
}
const specOf = () => api.object(LEASES, 'weft-system/x')?.['spec'] as Readonly<Record<string, unknown>>
const LEASE_PATH = '/apis/coordination.k8s.io/v1/namespaces/weft-system/leases/x'

test('the first takes the lease and keeps it by renewing', async () => {
  const one = candidate('one')
  await pass(one.clock, 1000)
  expect(one.leader.isLeader.current).toBe(true)
  const { renewTime } = specOf()
  const other = candidate('other')
  for (let turn = 0; turn < 12; turn++) {
    await pass(one.clock, 2500)
    await pass(other.clock, 2500)
  }
  expect(one.leader.isLeader.current).toBe(true)
  expect(other.leader.isLeader.current).toBe(false)
  expect(specOf()).toMatchObject({ holderIdentity: 'one', leaseDurationSeconds: 15, leaseTransitions: 1 })
  expect(specOf()['renewTime']).not.toBe(renewTime)
  expect(renewTime).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/)
})

test('the installation owns the lease, also after it was renewed and handed over', async () => {
  api.put(CLUSTER_ROLES, { metadata: { name: 'weft-installation', uid: '1-2-3' } })
  const owners = () => api.object(LEASES, 'weft-system/x')?.metadata.ownerReferences?.map(({ uid }) => uid)
  const one = candidate('one')
  await pass(one.clock, 5000)
  expect(owners()).toEqual(['1-2-3'])
  await one.leader.close()
  expect(owners()).toEqual(['1-2-3'])
  await pass(candidate('other').clock, 1000)
  expect([owners(), specOf()['holderIdentity']]).toEqual([['1-2-3'], 'other'])
})

test('another takes over when the holder has been silent for the whole of its lease, by its own clock', async () => {
  api.put(LEASES, {
    metadata: { namespace: 'weft-system', name: 'x' },
    // The other machine's clock may be years off.
    spec: {
      holderIdentity: 'dead',
      leaseDurationSeconds: 15,
      renewTime: '2099-01-01T00:00:00.000000Z',
      leaseTransitions: 4,
    },
  })
  const { clock, leader } = candidate('heir')
  await pass(clock, 14_000)
  expect(leader.isLeader.current).toBe(false)
  await pass(clock, 4_000)
  expect(leader.isLeader.current).toBe(true)
  expect(specOf()).toMatchObject({ holderIdentity: 'heir', leaseTransitions: 5 })
})

test('a leader that cannot renew lets go before another may take over', async () => {
  const { clock, leader } = candidate('one')
  await pass(clock, 1000)
  expect(leader.isLeader.current).toBe(true)
  api.refuse(`GET ${LEASE_PATH}`, 500, 1000)
  await pass(clock, 7_000)
  expect(leader.isLeader.current).toBe(true)
  await pass(clock, 5_000)
  expect(leader.isLeader.current).toBe(false)
})

test('two that try at once do not both win', async () => {
  api.put(LEASES, { metadata: { namespace: 'weft-system', name: 'x' }, spec: { holderIdentity: '' } })
  const [one, other] = [candidate('one'), candidate('other')]
  await pass(one.clock, 500)
  await pass(other.clock, 500)
  expect([one, other].filter(({ leader }) => leader.isLeader.current)).toHaveLength(1)
})

test('a lease that is given back is free at once', async () => {
  const one = candidate('one')
  await pass(one.clock, 1000)
  await one.leader.close()
  expect(one.leader.isLeader.current).toBe(false)
  expect(specOf()).toMatchObject({ holderIdentity: '' })
  const other = candidate('other')
  await pass(other.clock, 1000)
  expect(other.leader.isLeader.current).toBe(true)
})

test('every candidate sees who holds the lease and where that one is', async () => {
  const one = candidate('one', '10.0.0.1:15010')
  await pass(one.clock, 1000)
  const other = candidate('other', '10.0.0.2:15010')
  await pass(other.clock, 1000)
  const expected = { identity: 'one', address: '10.0.0.1:15010' }
  expect(one.leader.holder.current).toEqual(expected)
  expect(other.leader.holder.current).toEqual(expected)
  await one.leader.close()
  expect(one.leader.holder.current).toBeNull()
  await pass(other.clock, 3000)
  expect(other.leader.holder.current).toEqual({ identity: 'other', address: '10.0.0.2:15010' })
  expect([one.leader.isSuccessor, other.leader.isSuccessor]).toEqual([false, true])
})

test('who has resigned takes no lease any more and still sees who holds it', async () => {
  const one = candidate('one')
  await pass(one.clock, 1000)
  await one.leader.resign()
  expect(specOf()).toMatchObject({ holderIdentity: '' })
  await pass(one.clock, 5000)
  expect(one.leader.isLeader.current).toBe(false)
  const other = candidate('other', '10.0.0.2:15010')
  await pass(other.clock, 1000)
  await pass(one.clock, 3000)
  expect(one.leader.holder.current).toEqual({ identity: 'other', address: '10.0.0.2:15010' })
})
