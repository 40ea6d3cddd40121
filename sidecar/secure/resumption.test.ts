import { afterEach, expect, test } from 'vitest'
import type { Identity } from '#flow/identity.ts'
import { ManualClock } from '#shared/clock.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { Watched } from '#shared/watch.ts'
import {
  authority,
  CATALOG,
  closeAll,
  faultOf,
  listening,
  NOTHING,
  never,
  other,
  sidecars,
  talk,
  WEB,
} from '../../test/support/mutual-tls.ts'
import { createOriginator } from './originate.ts'
import { type KeptSession, SessionCache } from './session-cache.ts'
import { createTerminator } from './terminate.ts'

afterEach(closeAll)

const keptUntil = (endMs: number) => ({ session: Buffer.of(1), peer: { id: CATALOG, expiresAt: new Date(endMs) } })

test('the second connection to an endpoint resumes the session, and both ends still know each other', async () => {
  const mesh = await sidecars()
  const first = await mesh.joined()
  await talk(first)
  const second = await mesh.joined()
  expect([first.client.isSessionReused(), second.client.isSessionReused()]).toEqual([false, true])
  expect(second.server.stream.isSessionReused()).toBe(true)
  expect(second.server.peer).toBe(WEB)
  await talk(second)
})

test('a session is never offered where another identity is expected', async () => {
  const mesh = await sidecars()
  await talk(await mesh.joined())
  const admin = parseSpiffeId('spiffe://weft.local/ns/shop/sa/admin')
  expect((await faultOf(mesh.joined(admin))).code).toBe('PEER_IDENTITY')
})

test('a resumed session whose peer is not the expected one is refused', async () => {
  class MixedUp extends SessionCache {
    kept: KeptSession | undefined
    override set(_key: string, kept: KeptSession) {
      this.kept = kept
    }
    override get() {
      return this.kept
    }
  }
  const identity = new Watched<Identity | undefined>(await authority.identity(WEB))
  const server = new Watched<Identity | undefined>(await authority.identity(CATALOG))
  const originate = createOriginator({ identity, sessions: new MixedUp() })
  const terminate = createTerminator({ identity: server, trustDomain: 'weft.local' })
  const { dial, accepted } = await listening()
  const admin = parseSpiffeId('spiffe://weft.local/ns/shop/sa/admin')

  const ending = accepted().then((socket) => terminate(socket, NOTHING, never))
  const { stream: client } = await originate(await dial(), CATALOG, 'weft/tcp', never)
  await talk({ client, server: await ending })
  const resumed = accepted().then((socket) => terminate(socket, NOTHING, never))
  const fault = await faultOf(originate(await dial(), admin, 'weft/tcp', never))

  expect(fault).toEqual({ code: 'PEER_IDENTITY', cause: `Error: the endpoint is ${CATALOG}, want ${admin}` })
  await resumed.catch(() => {})
})

test('a session does not outlive the certificate that began it, on either side', async () => {
  const clock = new ManualClock(Date.now())
  const identity = new Watched<Identity | undefined>(await authority.identity(WEB))
  const server = new Watched<Identity | undefined>(await authority.identity(CATALOG))
  const terminate = createTerminator({ identity: server, trustDomain: 'weft.local', clock })
  const { dial, accepted } = await listening()
  const originate = createOriginator({ identity })
  const join = async () => {
    const ending = accepted().then((socket) => terminate(socket, NOTHING, never))
    ending.catch(() => {})
    const { stream: client } = await originate(await dial(), CATALOG, 'weft/tcp', never)
    return { client, ending }
  }
  const first = await join()
  await talk({ client: first.client, server: await first.ending })
  clock.advance(3601_000)
  const second = await join()
  expect(second.client.isSessionReused()).toBe(true)
  expect((await faultOf(second.ending)).cause).toMatch(/the certificate of the peer ended/)

  const sessions = new SessionCache()
  sessions.set('key', keptUntil(5000))
  expect(sessions.get('key', 4999)).toEqual(keptUntil(5000))
  expect(sessions.get('key', 5000)).toBeUndefined()
})

test('renewing a certificate drops no connection, and new ones show the new certificate', async () => {
  const mesh = await sidecars()
  const old = await mesh.joined()
  await talk(old)
  const renewed = { web: await authority.identity(WEB), catalog: await authority.identity(CATALOG) }
  mesh.client.set(renewed.web)
  mesh.server.set(renewed.catalog)
  const fresh = await mesh.joined()
  await talk(fresh)
  await talk(old)
  expect(fresh.client.isSessionReused()).toBe(false)
  expect(fresh.client.getPeerX509Certificate()?.toString()).toBe(renewed.catalog.chain)
  expect(fresh.server.stream.getPeerX509Certificate()?.toString()).toBe(renewed.web.chain)
})

test('a ticket that comes on a connection older than our own renewal is not kept', async () => {
  const mesh = await sidecars()
  const old = await mesh.joined()
  mesh.client.set(await authority.identity(WEB))
  await talk(old)
  const fresh = await mesh.joined()
  expect(fresh.client.isSessionReused()).toBe(false)
})

test('when only the endpoint renews its certificate, sessions with it go on', async () => {
  const mesh = await sidecars()
  await talk(await mesh.joined())
  mesh.server.set(await authority.identity(CATALOG))
  const second = await mesh.joined()
  expect(second.client.isSessionReused()).toBe(true)
  await talk(second)
})

test('when the roots of the accepting side change, no old session is resumed, and the handshake is made anew', async () => {
  const mesh = await sidecars()
  await talk(await mesh.joined())
  const identity = await authority.identity(CATALOG)
  mesh.server.set({ ...identity, roots: identity.roots + other.root })
  const second = await mesh.joined()
  expect(second.client.isSessionReused()).toBe(false)
  await talk(second)
})

test('while a root is replaced, peers of the old and the new one talk', async () => {
  const both = authority.root + other.root
  const web = { ...(await authority.identity(WEB)), roots: both }
  const catalog = { ...(await other.identity(CATALOG)), roots: both }
  await talk(await (await sidecars({ client: web, server: catalog })).joined())
})

test('the session cache drops what was not used for longest', () => {
  const sessions = new SessionCache()
  for (let index = 0; index < 512; index++) sessions.set(`key ${index}`, keptUntil(10))
  sessions.get('key 0', 0)
  sessions.set('one more', keptUntil(10))
  expect(sessions.get('key 0', 0)).toBeDefined()
  expect(sessions.get('key 1', 0)).toBeUndefined()
  expect(sessions.get('key 2', 0)).toBeDefined()
})
