// How sidecars change from one replica of control to another: nothing they know is lost on the way.
import pino from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { type ClusterIp, startClusterIp } from '../support/cluster-ip.ts'
import {
  CATALOG,
  CATALOG_BACKEND,
  endpoint,
  eventually,
  mesh,
  openRawStream,
  type RunningControl,
  startControl,
  startSidecar,
  untilTrue,
} from '../support/discovery.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

let authority: TestAuthority
let address: ClusterIp
beforeAll(async () => {
  authority = await createTestAuthority()
  address = await startClusterIp()
})
afterAll(() => address[Symbol.asyncDispose]())

const replicas = (count: number) => ({ count: () => count, Report: () => {} })
const podsOf = ({ server }: RunningControl) => server.sidecars.statuses().map(({ pod }) => pod)

describe('a replica that ends', () => {
  test('keeps a sidecar until it has come to another, which tells it only what has changed', async () => {
    const old = await startControl(authority, { replicas: replicas(2) })
    address.set(old.port)
    await using sidecar = await startSidecar(authority, address.address)
    const found = await sidecar.discovery.find(CATALOG)
    const isConnected: boolean[] = []
    sidecar.discovery.isConnected.subscribe((is) => isConnected.push(is))
    const endpoints = { [CATALOG_BACKEND]: [endpoint('10.77.0.5:8080'), endpoint('10.77.0.6:8080')] }
    await using next = await startControl(authority, { replicas: replicas(2), model: mesh({ endpoints }) })
    address.set(next.port)

    await old.server.close(10_000)

    expect(podsOf(next)).toEqual(['web-0'])
    const set = found?.endpoints(CATALOG_BACKEND)
    if (set === undefined) throw new Error('catalog is not found')
    await eventually(set, ({ length }) => length === 2)
    expect(isConnected).toEqual([])
    expect(sidecar.discovery.known(CATALOG)).toBe(found)
  })

  test('lets sidecars go one after the other, within eight of its ten seconds', async () => {
    const clock = new ManualClock()
    const old = await startControl(authority, { replicas: replicas(2), clock })
    await using stream = await openRawStream(authority, old.address)
    await stream.next()
    const closing = old.server.close(10_000)
    expect((await stream.next()).move).toEqual({ withinMs: 8_000 })
    clock.advance(9_999)
    expect(podsOf(old)).toEqual(['web-0'])
    clock.advance(1)
    expect(await stream.ended()).toBe(14)
    await closing
  })

  test('is left by each sidecar at a random time of its own', async () => {
    const clock = new ManualClock()
    const told = Promise.withResolvers<void>()
    const log = pino({}, { write: (line: string) => line.includes('another replica') && told.resolve() })
    const old = await startControl(authority, { replicas: replicas(2) })
    await using next = await startControl(authority, { replicas: replicas(2) })
    address.set(old.port)
    await using sidecar = await startSidecar(authority, address.address, { clock, log, random: () => 0.5 })
    await eventually(sidecar.discovery.isConnected, (is) => is)
    address.set(next.port)
    const closing = old.server.close(10_000)
    await told.promise
    clock.advance(3_999)
    // A stream that was opened later is there already, so an earlier one would be too.
    await using later = await openRawStream(authority, next.address, { pod: 'web-1' })
    await later.next()
    expect(podsOf(next)).toEqual(['web-1'])
    clock.advance(1)
    await closing
    expect(podsOf(next)).toEqual(['web-0', 'web-1'])
  })

  test('is left as soon as another takes the sidecar, when none does at first', async () => {
    const old = await startControl(authority, { replicas: replicas(2) })
    address.set(old.port)
    await using sidecar = await startSidecar(authority, address.address)
    await eventually(sidecar.discovery.isConnected, (is) => is)
    // Its address is still told to sidecars when it takes no more connections.
    const closing = old.server.close(10_000)
    await eventually(address.refused, (count) => count > 0)
    expect(sidecar.discovery.isConnected.current).toBe(true)
    await using next = await startControl(authority, { replicas: replicas(2) })
    address.set(next.port)
    await closing
    expect(podsOf(next)).toEqual(['web-0'])
  })
})

describe('a stream that lives long', () => {
  const AGE_MS = 15 * 60_000

  test('is moved every quarter of an hour, give or take a fifth, so that a replica that was added gets its share', async () => {
    const clock = new ManualClock()
    await using control = await startControl(authority, { replicas: replicas(2), clock, random: () => 0 })
    await using stream = await openRawStream(authority, control.address)
    await stream.next()
    clock.advance(AGE_MS * 0.8)
    expect((await stream.next()).move).toEqual({ withinMs: 0 })
    clock.advance(AGE_MS * 0.8)
    expect((await stream.next()).move).toEqual({ withinMs: 0 })
  })

  test('stays where it is when there is no other replica', async () => {
    const clock = new ManualClock()
    await using control = await startControl(authority, { clock, random: () => 0 })
    await using stream = await openRawStream(authority, control.address)
    await stream.next()
    clock.advance(AGE_MS * 3)
    control.model.set(mesh())
    stream.send({ subscribe: { resources: [{ type: 'WORKLOAD', name: 'web-0', version: '' }] } })
    expect((await stream.next()).message).toBe('update')
  })

  test('spreads sidecars over the replicas that are there', async () => {
    const clock = new ManualClock()
    await using one = await startControl(authority, { replicas: replicas(2), clock })
    address.set(one.port)
    const started = Array.from({ length: 4 }, (_, at) => startSidecar(authority, address.address, { pod: `web-${at}` }))
    const sidecars = await Promise.all(started)
    await using stack = new AsyncDisposableStack()
    for (const sidecar of sidecars) stack.use(sidecar)
    await untilTrue(() => podsOf(one).length === 4)
    await using two = await startControl(authority, { replicas: replicas(2), clock })
    address.set(one.port, two.port)
    clock.advance(AGE_MS * 1.2)
    await untilTrue(() => podsOf(one).length === 2 && podsOf(two).length === 2)
    expect(sidecars.map(({ discovery }) => discovery.isConnected.current)).toEqual([true, true, true, true])
  })
})

describe('how soon a sidecar comes back after a loss', () => {
  test.each([
    ['within half a second where there is another replica', 2, 500],
    ['within ten seconds where there is none', 1, 10_000],
  ])('%s', async (_, count, spreadMs) => {
    await using control = await startControl(authority, { replicas: replicas(count) })
    await using stream = await openRawStream(authority, control.address)
    expect((await stream.next()).welcome?.spreadMs).toBe(spreadMs)
  })

  test('it is told anew when the other replica has gone', async () => {
    let count = 2
    const changing = { count: () => count, Report: () => {} }
    await using control = await startControl(authority, { replicas: changing })
    await using stream = await openRawStream(authority, control.address)
    await stream.next()
    count = 1
    control.model.set(mesh())
    expect((await stream.next()).welcome?.spreadMs).toBe(10_000)
  })

  test('a sidecar whose replica dies is at the other one within what it was told', async () => {
    const clock = new ManualClock()
    const dying = await startControl(authority, { replicas: replicas(2) })
    await using other = await startControl(authority, { replicas: replicas(2) })
    address.set(dying.port)
    await using sidecar = await startSidecar(authority, address.address, { clock, random: () => 0.99 })
    await eventually(sidecar.discovery.isConnected, (is) => is)
    address.set(other.port)
    await dying.server.close()
    await eventually(sidecar.discovery.isConnected, (is) => !is)
    clock.advance(500)
    await eventually(sidecar.discovery.isConnected, (is) => is)
    expect(podsOf(other)).toEqual(['web-0'])
  })
})
