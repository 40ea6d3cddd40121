import { once } from 'node:events'
import { connect as connectTcp, type Socket } from 'node:net'
import { duplexPair } from 'node:stream'
import { type ConnectionOptions, connect as connectTls, createServer as createTlsServer } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { FlowError } from '#flow/error.ts'
import type { Identity } from '#flow/identity.ts'
import { ManualClock } from '#shared/clock.ts'
import { Watched } from '#shared/watch.ts'
import { keyUsageOf, makeAuthority, sanOf } from '../../test/support/authority.ts'
import {
  authority,
  CATALOG,
  closeAll,
  faultOf,
  listening,
  NOTHING,
  never,
  other,
  servers,
  sidecars,
  talk,
  textOf,
  toClose,
  WEB,
} from '../../test/support/mutual-tls.ts'
import { createOriginator } from './originate.ts'
import { createTerminator } from './terminate.ts'

afterEach(closeAll)

test('both ends learn who the other is, and the protocol inside', async () => {
  const mesh = await sidecars()
  const ends = await mesh.joined(CATALOG, 'weft/http1')
  expect(ends.server.peer).toBe(WEB)
  expect(ends.server.alpn).toBe('weft/http1')
  expect(ends.server.expiresAt).toEqual(mesh.client.current?.expiresAt)
  expect(ends.client.getProtocol()).toBe('TLSv1.3')
  expect(ends.client.getCipher().name).toBe('TLS_AES_128_GCM_SHA256')
  expect(ends.client.getEphemeralKeyInfo()).toMatchObject({ name: 'X25519' })
  await talk(ends)
})

test('a half-closed stream still carries the other direction', async () => {
  const { client, server } = await (await sidecars()).joined()
  client.end('question')
  expect(await textOf(server.stream)).toBe('question')
  server.stream.end('answer')
  expect(await textOf(client)).toBe('answer')
})

test('a ClientHello that came in pieces, part of it read before, is taken up where it was', async () => {
  const mesh = await sidecars()
  const [near, far] = duplexPair()
  const { dial, accepted } = await listening()
  const raw = await dial()
  const behind = await accepted()
  const secured = mesh.originate(near, CATALOG, 'weft/tcp', never)
  const [hello] = (await once(far, 'data')) as [Buffer]
  expect(hello.length).toBeGreaterThan(200)
  raw.write(hello.subarray(0, 7))
  await once(behind, 'readable')
  const first = behind.read() as Buffer
  expect(first.length).toBe(7)
  const ending = mesh.terminate(behind, first, never)
  for (const byte of hello.subarray(7, 60)) raw.write(Buffer.of(byte))
  raw.write(hello.subarray(60))
  far.on('data', (chunk: Buffer) => raw.write(chunk))
  raw.on('data', (chunk: Buffer) => far.write(chunk))
  const { stream: client } = await secured
  const server = await ending
  expect(server.peer).toBe(WEB)
  await talk({ client, server })
})

test('it works over an in-process pair of streams', async () => {
  const mesh = await sidecars()
  const [near, far] = duplexPair()
  const [{ stream: client }, server] = await Promise.all([
    mesh.originate(near, CATALOG, 'weft/tcp', never),
    mesh.terminate(far as Socket, NOTHING, never),
  ])
  expect(server.peer).toBe(WEB)
  await talk({ client, server })
  client.end('question')
  expect(await textOf(server.stream)).toBe('question')
  server.stream.end('answer')
  expect(await textOf(client)).toBe('answer')
})

test('an endpoint that proves another identity is refused', async () => {
  const mesh = await sidecars({ server: await authority.identity('spiffe://weft.local/ns/shop/sa/cart') })
  expect(await faultOf(mesh.joined())).toEqual({
    code: 'PEER_IDENTITY',
    cause: `Error: the endpoint is spiffe://weft.local/ns/shop/sa/cart, want ${CATALOG}`,
  })
})

test('an endpoint of another root is refused', async () => {
  const server = { ...(await other.identity(CATALOG)), roots: authority.root + other.root }
  const fault = await faultOf((await sidecars({ server })).joined())
  expect(fault.code).toBe('PEER_IDENTITY')
  expect(fault.cause).toMatch(/self-signed certificate in certificate chain/)
})

test('an endpoint whose certificate has ended is refused', async () => {
  const server = await authority.identity(CATALOG, { notAfter: new Date(Date.now() - 1000) })
  const fault = await faultOf((await sidecars({ server })).joined())
  expect(fault.code).toBe('PEER_IDENTITY')
  expect(fault.cause).toMatch(/expired/)
})

/** What the accepting side says of a caller with this identity; the caller's own handshake may succeed (TLS 1.3). */
async function refusalOf(client: Identity): Promise<{ code: string; cause: string }> {
  const mesh = await sidecars()
  const { dial, accepted } = await listening()
  const originate = createOriginator({ identity: new Watched<Identity | undefined>(client) })
  const dialled = originate(await dial(), CATALOG, 'weft/tcp', never)
  dialled.catch(() => {})
  const socket = await accepted()
  const fault = await faultOf(mesh.terminate(socket, NOTHING, never))
  expect(socket.destroyed).toBe(true)
  return fault
}

test.each([
  [
    'of another trust domain',
    async () => authority.identity('spiffe://evil.local/ns/shop/sa/web'),
    /not of the trust domain/,
  ],
  [
    'signed by another root',
    async () => ({ ...(await other.identity(WEB)), roots: authority.root }),
    /unable to (verify|get)/,
  ],
  ['that has ended', async () => authority.identity(WEB, { notAfter: new Date(Date.now() - 1000) }), /expired/],
  [
    'that is not valid yet',
    async () => authority.identity(WEB, { notBefore: new Date(Date.now() + 60_000) }),
    /not yet valid/,
  ],
  ['with two identities', async () => authority.identity(WEB, { san: sanOf([WEB, CATALOG]) }), /more than one URI/],
  ['that could sign others', async () => authority.identity(WEB, { keyUsage: keyUsageOf(1 | 32) }), /keyCertSign/],
])('a caller with a certificate %s is refused', async (_what, identity, cause) => {
  const fault = await refusalOf(await identity())
  expect(fault.code).toBe('CALLER_IDENTITY')
  expect(fault.cause).toMatch(cause)
})

/** A caller by plain node:tls, to do what our own side never would. */
async function refusalOfTls(options: ConnectionOptions): Promise<{ code: string; cause: string }> {
  const mesh = await sidecars()
  const { dial, accepted } = await listening()
  const socket = await dial()
  const caller = connectTls({ ...options, socket, rejectUnauthorized: false })
  caller.on('error', () => {})
  toClose.push(caller)
  return faultOf(mesh.terminate(await accepted(), NOTHING, never))
}

const shown = ({ chain, key }: Identity) => ({ cert: chain, key: key.export({ type: 'pkcs8', format: 'pem' }) })

test('a caller without a certificate is refused', async () => {
  const fault = await refusalOfTls({ ALPNProtocols: ['weft/tcp'] })
  expect(fault.code).toBe('CALLER_IDENTITY')
  expect(fault.cause).toMatch(/did not return a certificate/)
})

test('a caller that speaks TLS 1.2 is refused', async () => {
  const own = shown(await authority.identity(WEB))
  const fault = await refusalOfTls({ ...own, ALPNProtocols: ['weft/tcp'], maxVersion: 'TLSv1.2' })
  expect(fault.code).toBe('CALLER_IDENTITY')
  expect(fault.cause).toMatch(/unsupported protocol/)
})

test.each([
  ['another protocol', ['h2'], /no application protocol/i],
  ['no protocol', [], /no protocol of the mesh/],
])('a caller that offers %s is refused', async (_what, ALPNProtocols, cause) => {
  const own = shown(await authority.identity(WEB))
  const fault = await refusalOfTls({ ...own, ...(ALPNProtocols.length > 0 && { ALPNProtocols }) })
  expect(fault.code).toBe('CALLER_IDENTITY')
  expect(fault.cause).toMatch(cause)
})

test('a caller that signed its own certificate is refused', async () => {
  const forger = await makeAuthority('test root')
  const fault = await refusalOf({ ...(await forger.identity(WEB)), roots: authority.root })
  expect(fault.code).toBe('CALLER_IDENTITY')
})

test('bytes that are no TLS are refused on both sides', async () => {
  const mesh = await sidecars()
  const { dial, accepted } = await listening()
  const near = await dial()
  const far = await accepted()
  near.write('GET / HTTP/1.1\r\n\r\n')
  expect((await faultOf(mesh.terminate(far, NOTHING, never))).code).toBe('CALLER_IDENTITY')

  const dialled = mesh.originate(await dial(), CATALOG, 'weft/tcp', never)
  ;(await accepted()).write('HTTP/1.1 400 Bad Request\r\n\r\n')
  expect((await faultOf(dialled)).code).toBe('PEER_IDENTITY')
})

test('an endpoint that speaks TLS but not the protocol of the mesh is refused', async () => {
  const mesh = await sidecars()
  const server = createTlsServer({ ...shown(await authority.identity(CATALOG)), minVersion: 'TLSv1.3' })
  servers.push(server)
  server.on('tlsClientError', () => {})
  server.on('secureConnection', (socket) => socket.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const socket = connectTcp({ host: '127.0.0.1', port: (server.address() as { port: number }).port })
  toClose.push(socket)
  await once(socket, 'connect')
  const fault = await faultOf(mesh.originate(socket, CATALOG, 'weft/tcp', never))
  expect(fault).toEqual({ code: 'PEER_IDENTITY', cause: 'Error: no protocol of the mesh was agreed (ALPN)' })
})

test('an endpoint that closes in the handshake is a failed connection, not a false identity', async () => {
  const mesh = await sidecars()
  const { dial, accepted } = await listening()
  const dialled = mesh.originate(await dial(), CATALOG, 'weft/tcp', never)
  ;(await accepted()).destroy()
  expect((await faultOf(dialled)).code).toBe('CONNECT_FAILED')
})

test('a caller that ends in the handshake is let go at once', async () => {
  const mesh = await sidecars()
  const { dial, accepted } = await listening()
  const near = await dial()
  const taken = mesh.terminate(await accepted(), NOTHING, never)
  near.end()
  const fault = await faultOf(taken)
  expect(fault).toEqual({ code: 'CALLER_IDENTITY', cause: 'HandshakeError: the connection closed in the handshake' })
})

test('a handshake that never ends is given up after 10 seconds on either side', async () => {
  const clock = new ManualClock(Date.now())
  const client = new Watched<Identity | undefined>(await authority.identity(WEB))
  const { dial, accepted } = await listening()
  const [one, two] = [await dial(), await dial()]
  const silent = await accepted()
  const dialled = createOriginator({ identity: client, clock })(one, CATALOG, 'weft/tcp', never)
  const taken = createTerminator({ identity: client, trustDomain: 'weft.local', clock })(two, NOTHING, never)
  const faults = Promise.all([faultOf(dialled), faultOf(taken)])
  clock.advance(9_999)
  await once(silent, 'readable')
  expect([one.destroyed, two.destroyed]).toEqual([false, false])
  clock.advance(1)
  const [near, far] = await faults
  expect([near.code, far.code]).toEqual(['CONNECT_TIMEOUT', 'CALLER_IDENTITY'])
})

test("a handshake is given up with the caller's signal", async () => {
  const mesh = await sidecars()
  const { dial } = await listening()
  const giveUp = new AbortController()
  const socket = await dial()
  const dialled = mesh.originate(socket, CATALOG, 'weft/tcp', giveUp.signal)
  giveUp.abort(new FlowError('CONNECT_TIMEOUT'))
  expect((await faultOf(dialled)).code).toBe('CONNECT_TIMEOUT')
  expect(socket.destroyed).toBe(true)
  const aborted = mesh.terminate(await dial(), NOTHING, AbortSignal.abort(new Error('draining')))
  expect((await faultOf(aborted)).code).toBe('CALLER_IDENTITY')
})

test('a sidecar that has no certificate yet takes and makes no connection', async () => {
  const identity = new Watched<Identity | undefined>(undefined)
  const { dial } = await listening()
  const [one, two] = [await dial(), await dial()]
  const dialled = createOriginator({ identity })(one, CATALOG, 'weft/tcp', never)
  const taken = createTerminator({ identity, trustDomain: 'weft.local' })(two, NOTHING, never)
  const [near, far] = await Promise.all([faultOf(dialled), faultOf(taken)])
  expect([near.code, far.code]).toEqual(['CONNECT_FAILED', 'CALLER_IDENTITY'])
})

test('errors after the handshake reach the owner of the stream', async () => {
  const { client, server } = await (await sidecars()).joined()
  const broken = once(server.stream, 'error')
  // What follows the handshake on the wire is no TLS record.
  ;(client as unknown as { _parent: Socket })._parent.write('not a record of TLS at all, not even close to one')
  const [error] = (await broken) as [Error]
  expect(error.message).toMatch(/wrong version number|bad record|packet length/i)
})
