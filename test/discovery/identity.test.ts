// Who may speak with control, as whom, and what a renewed certificate does to a stream.
import { once } from 'node:events'
import { connect as connectTcp } from 'node:net'
import { connect as connectTls } from 'node:tls'
import { status } from '@grpc/grpc-js'
import { beforeAll, describe, expect, test } from 'vitest'
import { spiffeIdOf } from '#shared/identity/x509.ts'
import {
  CATALOG,
  CATALOG_BACKEND,
  CATALOG_KEY,
  CONTROL_ID,
  endpoint,
  eventually,
  mesh,
  openRawStream,
  type RunningControl,
  startControl,
  startSidecar,
  untilTrue,
  WEB_ID,
} from '../support/discovery.ts'
import { createTestAuthority, type TestAuthority } from '../support/svid.ts'

let authority: TestAuthority
beforeAll(async () => {
  authority = await createTestAuthority()
})

/** The serial number of the certificate that a new connection is shown. */
async function serialShownBy(control: RunningControl): Promise<string> {
  const own = await authority.issue(WEB_ID)
  const socket = connectTls({
    port: control.port,
    host: '127.0.0.1',
    ca: authority.roots,
    cert: own.chain,
    key: own.key.export({ type: 'pkcs8', format: 'pem' }),
    ALPNProtocols: ['h2'],
    checkServerIdentity: (_, { raw }) => (spiffeIdOf(raw) === CONTROL_ID ? undefined : new Error('not control')),
  })
  await once(socket, 'secureConnect')
  const { serialNumber } = socket.getPeerCertificate()
  expect(socket.getProtocol()).toBe('TLSv1.3')
  socket.destroy()
  return serialNumber
}

describe('control', () => {
  test('refuses a stream without a client certificate', async () => {
    await using control = await startControl(authority)
    await using stream = await openRawStream(authority, control.address, { as: null })

    expect(await stream.ended()).toBe(status.UNAVAILABLE)
  })

  test('refuses a client certificate of another root', async () => {
    const stranger = await createTestAuthority()
    await using control = await startControl(authority)
    await using stream = await openRawStream(stranger, control.address, { roots: authority.roots })

    expect(await stream.ended()).toBe(status.UNAVAILABLE)
  })

  test.each([
    ['of another trust domain', 'spiffe://elsewhere.test/ns/shop/sa/web', 'web-0'],
    ['of another service account of the namespace', 'spiffe://weft.test/ns/shop/sa/cart', 'web-0'],
    ['of the same service account in another namespace', 'spiffe://weft.test/ns/bank/sa/web', 'web-0'],
    ['whose pod does not exist', WEB_ID, 'nobody-0'],
  ])('refuses a caller %s', async (_, as, pod) => {
    await using control = await startControl(authority)
    await using stream = await openRawStream(authority, control.address, { as, pod })

    expect(await stream.ended()).toBe(status.PERMISSION_DENIED)
    expect(control.server.sidecars.statuses()).toEqual([])
  })

  test('tells a caller nothing of the workload of another pod', async () => {
    await using control = await startControl(authority)
    await using stream = await openRawStream(authority, control.address)
    await stream.next()
    stream.send({ subscribe: { resources: [{ type: 'WORKLOAD', name: 'web-1', version: '' }] } })

    expect(await stream.ended()).toBe(status.PERMISSION_DENIED)
  })

  test('ends a stream when the certificate that opened it has expired', async () => {
    await using control = await startControl(authority)
    const own = await authority.issue(WEB_ID, 4_000)
    const issuing = { ...authority, issue: () => Promise.resolve(own) }
    await using stream = await openRawStream(issuing, control.address)

    expect(await stream.ended()).toBe(status.UNAUTHENTICATED)
    expect(Date.now()).toBeGreaterThanOrEqual(own.expiresAt.getTime())
  })

  test.each([
    ['a name that is no address', { type: 'DESTINATION', name: 'catalog:8080', version: '' }],
    ['an address in another spelling', { type: 'DESTINATION', name: '010.96.0.7:8080', version: '' }],
  ] as const)('ends a stream that asks for %s', async (_, held) => {
    await using control = await startControl(authority)
    await using stream = await openRawStream(authority, control.address)
    await stream.next()
    stream.send({ subscribe: { resources: [held] } })

    expect(await stream.ended()).toBe(status.INVALID_ARGUMENT)
  })

  test('ends a stream that asks for more than it may, and others live on', async () => {
    await using control = await startControl(authority, { limits: { maxSubscriptions: 10 } })
    await using sidecar = await startSidecar(authority, control.address)
    await using stream = await openRawStream(authority, control.address, { pod: 'web-1' })
    await stream.next()
    for (let port = 1; port <= 11; port++) {
      stream.send({ subscribe: { resources: [{ type: 'DESTINATION', name: `10.96.0.7:${port}`, version: '' }] } })
    }

    expect(await stream.ended()).toBe(status.RESOURCE_EXHAUSTED)
    expect((await sidecar.discovery.find(CATALOG))?.key).toBe(CATALOG_KEY)
  })

  test('allows a pod and an identity so many streams and no more', async () => {
    await using control = await startControl(authority, { limits: { maxStreamsPerPod: 2, maxStreamsPerIdentity: 3 } })
    await using a = await openRawStream(authority, control.address)
    await using b = await openRawStream(authority, control.address)
    await Promise.all([a.next(), b.next()])
    await using ofPod = await openRawStream(authority, control.address)
    expect(await ofPod.ended()).toBe(status.RESOURCE_EXHAUSTED)

    await using c = await openRawStream(authority, control.address, { pod: 'web-1' })
    await c.next()
    await using ofIdentity = await openRawStream(authority, control.address, { pod: 'web-2' })
    expect(await ofIdentity.ended()).toBe(status.RESOURCE_EXHAUSTED)
  })

  test('answers not one byte to who speaks no TLS', async () => {
    await using control = await startControl(authority)
    const socket = connectTcp(control.port, '127.0.0.1')
    let received = ''
    socket.on('data', (bytes) => {
      received += bytes.toString('latin1')
    })
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
    await once(socket, 'close')

    // A TLS alert at most: type 21, two bytes.
    expect(received).toSatisfy((text: string) => text === '' || (text.charCodeAt(0) === 21 && text.length === 7))
  })
})

describe('a sidecar', () => {
  test.each([
    ['another identity of the mesh', 'spiffe://weft.test/ns/shop/sa/weft-control'],
    ['the right name in another trust domain', 'spiffe://elsewhere.test/ns/weft-system/sa/weft-control'],
  ])('does not believe a control that proves %s', async (_, id) => {
    await using control = await startControl(authority)
    control.identity.set(await authority.issue(id))
    await using sidecar = await startSidecar(authority, control.address, { limits: { firstSightMs: 300 } })

    expect(await sidecar.discovery.find(CATALOG)).toBeNull()
    expect(sidecar.discovery.isConnected.current).toBe(false)
    expect(control.server.sidecars.statuses()).toEqual([])
  })

  test('waits for its first certificate and then connects', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)
    const own = sidecar.identity.current
    sidecar.identity.set(undefined)
    await using late = await startSidecar(authority, control.address, { identity: sidecar.identity, pod: 'web-1' })
    expect(late.discovery.isConnected.current).toBe(false)

    sidecar.identity.set(own)

    await eventually(late.discovery.isConnected, (isConnected) => isConnected)
  })
})

describe('a renewed certificate', () => {
  test('of control is shown to new connections, three times over, while a stream lives through it', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)
    const found = await sidecar.discovery.find(CATALOG)
    const set = found?.endpoints(CATALOG_BACKEND)
    if (set === undefined) throw new Error('catalog is not found')
    let losses = 0
    sidecar.discovery.isConnected.subscribe(() => losses++)
    const serials = [await serialShownBy(control)]

    for (let rotation = 1; rotation <= 3; rotation++) {
      control.identity.set(await authority.issue(CONTROL_ID))
      serials.push(await serialShownBy(control))
      control.model.set(mesh({ endpoints: { [CATALOG_BACKEND]: [endpoint(`10.77.0.5:${rotation}`)] } }))
      await eventually(set, ([first]) => first?.address.port === rotation)
    }

    expect(new Set(serials).size).toBe(4)
    expect(losses).toBe(0)
  })

  test('of a sidecar moves its stream to a new connection without a moment apart', async () => {
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)
    const found = await sidecar.discovery.find(CATALOG)
    const set = found?.endpoints(CATALOG_BACKEND)
    if (set === undefined) throw new Error('catalog is not found')
    await untilTrue(() => control.server.sidecars.objects()[0]?.applied === 1)
    let changes = 0
    sidecar.discovery.isConnected.subscribe(() => changes++)
    const before = found?.config.current

    for (let rotation = 1; rotation <= 3; rotation++) {
      const { connectedAt } = control.server.sidecars.statuses()[0] ?? {}
      sidecar.identity.set(await authority.issue(WEB_ID))
      await untilTrue(() => {
        const { sidecars } = control.server
        return sidecars.statuses()[0]?.connectedAt !== connectedAt && sidecars.countOf('web-0') === 1
      })
      control.model.set(mesh({ endpoints: { [CATALOG_BACKEND]: [endpoint(`10.77.0.5:${rotation}`)] } }))
      await eventually(set, ([first]) => first?.address.port === rotation)
    }

    expect(changes).toBe(0)
    expect(found?.config.current).toBe(before)
  })

  test('with a new root is trusted by both ends while the bundle holds both roots', async () => {
    const next = await createTestAuthority()
    const both = `${authority.roots}\n${next.roots}`
    await using control = await startControl(authority)
    await using sidecar = await startSidecar(authority, control.address)
    await eventually(sidecar.discovery.isConnected, (isConnected) => isConnected)
    let changes = 0
    sidecar.discovery.isConnected.subscribe(() => changes++)

    control.identity.set({ ...(await authority.issue(CONTROL_ID)), roots: both })
    sidecar.identity.set({ ...(await authority.issue(WEB_ID)), roots: both })
    control.identity.set({ ...(await next.issue(CONTROL_ID)), roots: both })
    sidecar.identity.set({ ...(await next.issue(WEB_ID)), roots: both })

    expect((await sidecar.discovery.find(CATALOG))?.key).toBe(CATALOG_KEY)
    await untilTrue(() => control.server.sidecars.countOf('web-0') === 1)
    expect(changes).toBe(0)
  })
})
