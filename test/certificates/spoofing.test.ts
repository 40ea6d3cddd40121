// What certs must never do: give an identity to anybody but its owner. Real gRPC over real sockets; the callers are hostile.
import { sign as signBytes, X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import { type ConnectionOptions, connect as connectTls } from 'node:tls'
import { status } from '@grpc/grpc-js'
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest'
import { DER, encodeElement } from '#shared/identity/der.ts'
import { spiffeIdOf } from '#shared/identity/x509.ts'
import { makeCsr, sha256, startTestCerts, type TestCerts } from '../support/certs.ts'
import { csrOf, keyPair } from '../support/csr.ts'

const WEB = 'spiffe://weft.local/ns/shop/sa/web'
const ADMIN = 'spiffe://weft.local/ns/shop/sa/admin'
const WEB_TOKEN = 'a token of web, as long as those that weft up makes'
const ADMIN_TOKEN = 'a token of admin, as long as those that weft up makes'

let certs: TestCerts
/** Each test comes from addresses of its own, as the limit is per address. */
let host = 1
let web = ''
let admin = ''
beforeAll(async () => {
  certs = await startTestCerts()
})
afterAll(() => certs[Symbol.asyncDispose]())
beforeEach(() => {
  web = `127.0.1.${++host}`
  admin = `127.0.2.${host}`
  certs.setTokens([
    { token: WEB_TOKEN, id: WEB, addresses: [web] },
    { token: ADMIN_TOKEN, id: ADMIN, addresses: [admin] },
  ])
})

async function refusalOf(csr: Buffer, token: string, source: string): Promise<{ code: status; details: string }> {
  const before = certs.logged.length
  const error = await certs.sign({ csr, token }, source).then(
    () => new Error('a certificate was issued'),
    (reason: unknown) => reason,
  )
  const { code, details } = error as { code: status; details: string }
  if (details === undefined) throw error
  expect(certs.logged.slice(before)).toContainEqual(
    expect.objectContaining({ msg: 'refused to sign', source, reason: expect.any(String) }),
  )
  return { code, details }
}

test('the owner of a token gets its own identity', async () => {
  const { chainPem, rootsPem, notAfterMs } = await certs.sign({ csr: makeCsr(WEB), token: WEB_TOKEN }, web)
  const leaf = new X509Certificate(chainPem)
  expect(spiffeIdOf(leaf.raw)).toBe(WEB)
  expect(leaf.validToDate.getTime()).toBe(notAfterMs)
  expect(rootsPem).toBe(certs.roots)
  expect(leaf.verify(new X509Certificate(rootsPem).publicKey)).toBe(true)
})

test('a CSR that names another identity gets its own one', async () => {
  const { chainPem } = await certs.sign({ csr: makeCsr(ADMIN), token: WEB_TOKEN }, web)
  expect(spiffeIdOf(new X509Certificate(chainPem).raw)).toBe(WEB)
})

const UNAUTHENTICATED = {
  code: status.UNAUTHENTICATED,
  details: 'the token is not good from this address; see the log of certs',
}

test.each([
  ['an unknown token', 'a guess'],
  ['no token', ''],
  ['the hash of a token, as tokens.json shows it', sha256(WEB_TOKEN)],
  ['a token with its last letter missing', WEB_TOKEN.slice(0, -1)],
  ['a token with a letter more', `${WEB_TOKEN}x`],
  ['a token of 5000 characters', 'x'.repeat(5000)],
])('%s gets nothing', async (_what, token) => {
  expect(await refusalOf(makeCsr(WEB), token, web)).toEqual(UNAUTHENTICATED)
})

test("the token of another pod is useless from one's own address", async () => {
  expect(await refusalOf(makeCsr(ADMIN), ADMIN_TOKEN, web)).toEqual(UNAUTHENTICATED)
})

test('a request that was heard is useless when it is sent again from elsewhere', async () => {
  const request = { csr: makeCsr(ADMIN), token: ADMIN_TOKEN }
  await certs.sign(request, admin)
  expect(await refusalOf(request.csr, request.token, web)).toEqual(UNAUTHENTICATED)
})

test('a token that was taken out of the file is refused from the next call on', async () => {
  await certs.sign({ csr: makeCsr(WEB), token: WEB_TOKEN }, web)
  certs.setTokens([{ token: ADMIN_TOKEN, id: ADMIN, addresses: [admin] }])
  expect(await refusalOf(makeCsr(WEB), WEB_TOKEN, web)).toEqual(UNAUTHENTICATED)
})

/** Changes one byte of the public point, so that it lies on no curve and nobody can have its private key. */
function offCurve(csr: Buffer): Buffer {
  const point = csr.indexOf(Buffer.from('03420004', 'hex')) + 4
  csr[point] = (csr[point] ?? 0) ^ 1
  return csr
}

function brokenSignature(csr: Buffer): Buffer {
  csr[csr.length - 1] = (csr.at(-1) ?? 0) ^ 1
  return csr
}

const NOT_P256 = 'the key of the CSR is not ECDSA P-256'
test.each([
  ['an RSA key', () => csrOf('rsa'), NOT_P256],
  ['a P-384 key', () => csrOf('P-384'), NOT_P256],
  ['an Ed25519 key', () => csrOf('ed25519'), NOT_P256],
  ['a point that is not on the curve', () => offCurve(csrOf('P-256')), 'the key of the CSR is no point of P-256'],
  ['a broken signature', () => brokenSignature(csrOf('P-256')), 'the signature of the CSR is wrong'],
  ['the public key of somebody else', stolenKey, 'the signature of the CSR is wrong'],
  ['garbage', () => Buffer.from('not a request at all'), 'the CSR cannot be read'],
  ['nothing', () => Buffer.alloc(0), 'the CSR cannot be read'],
  ['a certificate', () => new X509Certificate(certs.roots).raw, 'the CSR cannot be read'],
  ['a request cut short', () => csrOf('P-256').subarray(0, 60), 'the CSR cannot be read'],
  ['2000 nested sequences', () => nested(1000), 'the CSR cannot be read'],
  ['4097 bytes', () => Buffer.alloc(4097, 0x30), 'the CSR is longer than 4096 bytes'],
])('the owner of a token gets nothing for a CSR with %s', async (_what, make, details) => {
  expect(await refusalOf(make(), WEB_TOKEN, web)).toEqual({ code: status.INVALID_ARGUMENT, details })
})

/** As long as 4 KiB allow. */
function nested(depth: number): Buffer {
  let bytes: Buffer = Buffer.of(5, 0)
  for (let level = 0; level < depth; level++) bytes = encodeElement(DER.sequence, bytes)
  return bytes
}

/** Asks for a certificate on a key that the caller has only seen: the root's own. */
function stolenKey(): Buffer {
  const spki = new X509Certificate(certs.roots).publicKey.export({ type: 'spki', format: 'der' })
  const info = encodeElement(DER.sequence, Buffer.of(2, 1, 0), encodeElement(DER.sequence), spki, Buffer.of(0xa0, 0))
  const { privateKey } = keyPair('P-256')
  const signature = encodeElement(DER.bitString, Buffer.of(0), signBytes('sha256', info, privateKey))
  return encodeElement(DER.sequence, info, Buffer.from('300a06082a8648ce3d040302', 'hex'), signature)
}

test('a message larger than 16 KiB is refused before it is read', async () => {
  const error = await certs
    .sign({ csr: Buffer.alloc(20_000), token: WEB_TOKEN }, web)
    .catch((reason: unknown) => reason)
  expect((error as { code: status }).code).toBe(status.RESOURCE_EXHAUSTED)
})

test('who asks too often is refused, whatever the token, and nobody else is', async () => {
  const csr = makeCsr(WEB)
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, () =>
      certs.sign({ csr, token: 'a guess' }, web).catch((error: { code: status }) => error.code),
    ),
  )
  const refused = outcomes.filter((code) => code === status.RESOURCE_EXHAUSTED)
  expect(refused.length).toBeGreaterThanOrEqual(8)
  expect(await refusalOf(csr, WEB_TOKEN, web)).toMatchObject({ code: status.RESOURCE_EXHAUSTED })
  await certs.sign({ csr: makeCsr(ADMIN), token: ADMIN_TOKEN }, admin)
})

test('a caller in clear gets no byte of HTTP/2, and it is logged', async () => {
  const before = certs.logged.length
  const socket = connect({ host: '127.0.0.1', port: certs.port, localAddress: web })
  socket.on('error', () => {})
  const heard: Buffer[] = []
  socket.on('data', (chunk: Buffer) => heard.push(chunk))
  socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n')
  await once(socket, 'close')
  // At most a TLS alert: content type 21.
  expect([undefined, 21]).toContain(Buffer.concat(heard)[0])
  expect(certs.logged.slice(before)).toContainEqual(
    expect.objectContaining({ msg: 'refused a connection', source: web }),
  )
})

const FOREIGN: readonly (readonly [string, ConnectionOptions])[] = [
  ['TLS 1.2', { maxVersion: 'TLSv1.2', ALPNProtocols: ['h2'] }],
  ['no HTTP/2', { ALPNProtocols: ['http/1.1'] }],
]
test.each(FOREIGN)('a caller with %s is refused, and it is logged', async (_what, options) => {
  const before = certs.logged.length
  const address = { host: '127.0.0.1', port: certs.port, localAddress: web }
  const socket = connectTls({ ...address, rejectUnauthorized: false, ...options })
  const [error] = (await once(socket, 'error')) as [Error]
  expect(error.message).toMatch(/alert/)
  expect(certs.logged.slice(before)).toContainEqual(
    expect.objectContaining({ msg: 'refused a connection', source: web }),
  )
})

test('one address holds 16 connections, and what comes above is cut and logged', async () => {
  const before = certs.logged.length
  const cut = Promise.withResolvers<void>()
  const held: Socket[] = []
  try {
    for (let made = 0; made < 17; made++) {
      const socket = connect({ host: '127.0.0.1', port: certs.port, localAddress: web })
      held.push(socket)
      socket.on('error', () => {})
      socket.once('close', cut.resolve)
    }
    await cut.promise
    expect(held.filter((socket) => !socket.closed)).toHaveLength(16)
    const told = { msg: 'refused a connection', source: web, reason: 'too many connections' }
    expect(certs.logged.slice(before)).toContainEqual(expect.objectContaining(told))
  } finally {
    for (const socket of held) socket.destroy()
  }
})

test('a broken token file leaves the last good tokens in force and is logged', async () => {
  await certs.sign({ csr: makeCsr(WEB), token: WEB_TOKEN }, web)
  writeFileSync(join(certs.directory, 'tokens.json'), '{"tokens": [{"sha256": "short"}]}')
  await certs.sign({ csr: makeCsr(WEB), token: WEB_TOKEN }, web)
  expect(certs.logged).toContainEqual(
    expect.objectContaining({ level: 50, reason: 'Error: tokens[0].sha256: want hex' }),
  )
})
