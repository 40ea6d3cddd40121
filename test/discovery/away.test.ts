// What becomes of a mesh while control is away, and when it comes back.
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import {
  CATALOG,
  CATALOG_BACKEND,
  CATALOG_KEY,
  destinationConfig,
  endpoint,
  eventually,
  mesh,
  openRawStream,
  startControl,
  startSidecar,
  untilTrue,
  workloadConfig,
} from '../support/discovery.ts'
import { freePorts } from '../support/free-ports.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

let authority: TestAuthority
let folder: string
beforeAll(async () => {
  authority = await createTestAuthority()
  folder = await mkdtemp(join(tmpdir(), 'weft-discovery-'))
})
afterAll(() => rm(folder, { recursive: true }))

/** Nobody else may get it meanwhile. */
const portToComeBackTo = async () => (await freePorts(1))[0] ?? 0

const SUBSCRIBE = {
  subscribe: {
    resources: [
      { type: 'WORKLOAD', name: 'web-0', version: '' },
      { type: 'DESTINATION', name: CATALOG_KEY, version: '' },
    ],
  },
} as const

describe('a sidecar that comes back', () => {
  test('is sent nothing that it holds already, and of a changed endpoint list the difference', async () => {
    const two = { [CATALOG_BACKEND]: [endpoint('10.77.0.5:8080'), endpoint('10.77.0.6:8080')] }
    await using control = await startControl(authority, { model: mesh({ endpoints: two }) })
    const first = await openRawStream(authority, control.address)
    await first.next()
    first.send(SUBSCRIBE)
    const { update } = await first.next()
    const held = (update?.resources ?? []).map(({ type, name, version }) => ({ type, name, version }))
    expect(held.map(({ type }) => type)).toEqual(['ENDPOINTS', 'WORKLOAD', 'DESTINATION'])
    await first[Symbol.asyncDispose]()
    const three = [...two[CATALOG_BACKEND].slice(1), endpoint('10.77.0.7:8080')]
    control.model.set(mesh({ endpoints: { [CATALOG_BACKEND]: three } }))

    await using second = await openRawStream(authority, control.address)
    await second.next()
    second.send({ subscribe: { resources: held } })

    const again = await second.next()
    expect(again.update?.resources).toMatchObject([
      {
        type: 'ENDPOINTS',
        delta: { upserts: [{ address: '10.77.0.7:8080' }], removals: ['10.77.0.5:8080'] },
      },
    ])
  })

  test('gets the whole of a list from a control that never knew the version it holds', async () => {
    await using control = await startControl(authority)
    await using stream = await openRawStream(authority, control.address)
    await stream.next()
    const name = `${CATALOG_BACKEND}/ipv4`
    const resources = [
      ...SUBSCRIBE.subscribe.resources,
      { type: 'ENDPOINTS' as const, name, version: 'of-another-time' },
    ]
    stream.send({ subscribe: { resources } })

    const { update } = await stream.next()
    expect(update?.resources[0]).toMatchObject({ name, endpoints: { endpoints: [{ address: '10.77.0.5:8080' }] } })
  })

  test('finds a restarted control by itself, keeps what it knows meanwhile and applies what has changed', async () => {
    const control = await startControl(authority, { port: await portToComeBackTo() })
    await using sidecar = await startSidecar(authority, control.address)
    const found = await sidecar.discovery.find(CATALOG)
    const set = found?.endpoints(CATALOG_BACKEND)
    if (set === undefined) throw new Error('catalog is not found')
    const [before] = set.current
    await control[Symbol.asyncDispose]()
    await eventually(sidecar.discovery.isConnected, (isConnected) => !isConnected)
    expect(sidecar.discovery.known(CATALOG)).toBe(found)
    expect(set.current).toEqual([before])

    const model = mesh({ endpoints: { [CATALOG_BACKEND]: [endpoint('10.77.0.5:8080'), endpoint('10.77.0.9:8080')] } })
    await using again = await startControl(authority, { model, port: control.port })

    await eventually(set, ({ length }) => length === 2)
    expect(set.current[0]).toBe(before)
    await untilTrue(() => again.server.sidecars.objects()[0]?.applied === 1)
  })

  test('comes at a random time within ten seconds after a loss, but at once at the start', async () => {
    const control = await startControl(authority, { port: await portToComeBackTo() })
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, control.address, { clock, random: () => 0.7 })
    await eventually(sidecar.discovery.isConnected, (isConnected) => isConnected)
    await control[Symbol.asyncDispose]()
    await eventually(sidecar.discovery.isConnected, (isConnected) => !isConnected)
    await using again = await startControl(authority, { port: control.port })

    clock.advance(6_999)
    // A stream that was opened later is there already, so an earlier one would be too.
    await using later = await openRawStream(authority, again.address, { pod: 'web-1' })
    await later.next()
    expect(again.server.sidecars.statuses().map(({ pod }) => pod)).toEqual(['web-1'])
    clock.advance(1)

    await eventually(sidecar.discovery.isConnected, (isConnected) => isConnected)
  })

  test('comes within half a second when somebody waits for an answer', async () => {
    const control = await startControl(authority, { port: await portToComeBackTo() })
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, control.address, { clock, random: () => 0.9 })
    await eventually(sidecar.discovery.isConnected, (isConnected) => isConnected)
    await control[Symbol.asyncDispose]()
    await eventually(sidecar.discovery.isConnected, (isConnected) => !isConnected)
    await using _again = await startControl(authority, { port: control.port })

    const finding = sidecar.discovery.find(CATALOG)
    clock.advance(500)

    expect((await finding)?.key).toBe(CATALOG_KEY)
  })
})

describe('while control is away', () => {
  test('a first sight waits its time once and then goes on without', async () => {
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, '127.0.0.1:1', { clock })
    let isAnswered = false
    const finding = sidecar.discovery.find(CATALOG).then((found) => {
      isAnswered = true
      return found
    })
    clock.advance(999)
    await Promise.resolve()
    expect(isAnswered).toBe(false)
    clock.advance(1)
    expect(await finding).toBeNull()

    expect(await sidecar.discovery.find(CATALOG)).toBeNull()
  })

  test('a restarted sidecar comes back from its snapshot, which only its owner can read', async () => {
    const snapshotFile = join(folder, 'snapshot.json')
    await writeFile(`${snapshotFile}.new`, 'the draft of a killed run', { mode: 0o644 })
    const control = await startControl(authority)
    const first = await startSidecar(authority, control.address, { snapshotFile })
    await first.discovery.find(CATALOG)
    await first.discovery.find({ host: '203.0.113.9', port: 443 })
    await eventually(first.discovery.workload, (workload) => workload !== undefined)
    await first[Symbol.asyncDispose]()
    await control[Symbol.asyncDispose]()
    expect((await stat(snapshotFile)).mode & 0o777).toBe(0o600)

    await using second = await startSidecar(authority, control.address, { snapshotFile })

    const known = second.discovery.known(CATALOG)
    expect(known?.config.current).toEqual(destinationConfig())
    expect(known?.endpoints(CATALOG_BACKEND).current).toMatchObject([{ address: { host: '10.77.0.5', port: 8080 } }])
    expect(second.discovery.workload.current).toEqual(workloadConfig())
    expect(second.discovery.known({ host: '198.51.100.1', port: 80 })).toBeNull()
    expect(second.discovery.known({ host: '10.96.0.8', port: 80 })).toBeUndefined()
  })

  test('a sidecar that came back from its snapshot is sent only what has changed', async () => {
    const snapshotFile = join(folder, 'held.json')
    await using control = await startControl(authority)
    const first = await startSidecar(authority, control.address, { snapshotFile })
    await first.discovery.find(CATALOG)
    await eventually(first.discovery.workload, (workload) => workload !== undefined)
    await first[Symbol.asyncDispose]()
    await untilTrue(() => control.server.sidecars.statuses().length === 0)

    await using second = await startSidecar(authority, control.address, { snapshotFile })
    const before = second.discovery.known(CATALOG)?.config.current
    await eventually(second.discovery.isConnected, (isConnected) => isConnected)

    const { sidecars } = control.server
    await untilTrue(() => sidecars.statuses()[0]?.subscriptions === 3)
    expect(sidecars.statuses()[0]?.lagging).toEqual([])
    expect(second.discovery.known(CATALOG)?.config.current).toBe(before)
  })

  test.each([
    ['is cut off', '{"format":1,"pod":"web-0","resour'],
    [
      'is of another pod',
      '{"format":1,"pod":"cart-0","resources":[{"type":"WORKLOAD","name":"cart-0","version":"1"}]}',
    ],
    ['is of another format', '{"format":99,"pod":"web-0","resources":[]}'],
    ['holds what cannot be read', '{"format":1,"pod":"web-0","resources":[{"type":"DESTINATION","name":"nowhere"}]}'],
  ])('a snapshot that %s is as good as none', async (_, text) => {
    const snapshotFile = join(folder, 'bad.json')
    await writeFile(snapshotFile, text)
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address, { snapshotFile })

    expect(sidecar.discovery.workload.current).toBeUndefined()
    expect((await sidecar.discovery.find(CATALOG))?.key).toBe(CATALOG_KEY)
  })

  test('the snapshot is written while the sidecar runs, since it may be killed', async () => {
    const snapshotFile = join(folder, 'running.json')
    await using control = await startControl(authority)
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, control.address, { snapshotFile, clock })
    await sidecar.discovery.find(CATALOG)

    clock.advance(500)

    let text = ''
    while (!text.includes(CATALOG_KEY)) text = await readFile(snapshotFile, 'utf8').catch(() => '')
  })

  test('nothing is given up for being idle', async () => {
    const control = await startControl(authority)
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, control.address, { clock, random: () => 0.5 })
    const found = await sidecar.discovery.find(CATALOG)
    await control[Symbol.asyncDispose]()
    await eventually(sidecar.discovery.isConnected, (isConnected) => !isConnected)

    clock.advance(3_600_000)

    expect(sidecar.discovery.known(CATALOG)).toBe(found)
  })
})

describe('an idle destination', () => {
  test('is given up after ten minutes, and what was built on it is told', async () => {
    await using control = await startControl(authority)
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, control.address, { clock })
    const found = await sidecar.discovery.find(CATALOG)
    await untilTrue(() => control.server.sidecars.statuses()[0]?.subscriptions === 3)

    clock.advance(720_000)

    expect(found?.dropped.aborted).toBe(true)
    expect(sidecar.discovery.known(CATALOG)).toBeUndefined()
    await untilTrue(() => control.server.sidecars.statuses()[0]?.subscriptions === 1)
    expect((await sidecar.discovery.find(CATALOG))?.key).toBe(CATALOG_KEY)
  })

  test('is kept while its configuration is read for each request', async () => {
    await using control = await startControl(authority)
    const clock = new ManualClock()
    await using sidecar = await startSidecar(authority, control.address, { clock })
    const found = await sidecar.discovery.find(CATALOG)

    for (let minute = 0; minute < 60; minute++) {
      clock.advance(60_000)
      expect(found?.config.current.protocol).toBe('http')
    }

    expect(found?.dropped.aborted).toBe(false)
  })
})
