// How a workload keeps its identity: the source that the sidecar and control use, against a real certs.
import { once } from 'node:events'
import { chmodSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { connect as connectTls, createServer } from 'node:tls'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { createSvidSource, type SvidSource, type SvidSourceOptions } from '#shared/identity/svid-client.ts'
import { until } from '#shared/watch.ts'
import { makeAuthority } from '../support/authority.ts'
import { CERTS_ID, logInto, startTestCerts, type TestCerts } from '../support/certs.ts'

const WEB = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')
const LIFETIME_MS = 60_000
/** Small, so that the clock does not run through a lifetime while a call is under way. */
const STEP_MS = 20

let clock: ManualClock
let certs: TestCerts
let logged: Record<string, unknown>[] = []
let stateDir = ''
const sources: SvidSource[] = []
beforeEach(async () => {
  clock = new ManualClock(Date.now())
  certs = await startTestCerts({ lifetimeMs: LIFETIME_MS, clock })
  certs.setTokens([{ token: 'secret', id: WEB, addresses: ['127.0.0.1'] }])
  stateDir = join(certs.directory, 'pod')
  mkdirSync(stateDir, { mode: 0o700 })
  writeFileSync(join(stateDir, 'token'), 'secret\n')
  logged = []
})
afterEach(async () => {
  for (const source of sources.splice(0)) source.close()
  await certs[Symbol.asyncDispose]()
})

function start(overrides: Partial<SvidSourceOptions> = {}): SvidSource {
  const source = createSvidSource({
    certsAddress: certs.address,
    certsId: CERTS_ID,
    bundleFile: certs.bundleFile,
    tokenFile: join(stateDir, 'token'),
    stateDir,
    id: WEB,
    log: logInto(logged),
    clock,
    random: () => 0.5,
    ...overrides,
  })
  sources.push(source)
  return source
}

const other =
  (than: SvidIdentity | undefined) =>
  (found: SvidIdentity | undefined): found is SvidIdentity =>
    found !== undefined && found.chain !== than?.chain
const first = (source: SvidSource) => until(source.identity, other(undefined), AbortSignal.timeout(30_000))

/** Resolves when a line with that text is logged; the clock goes on meanwhile, so that what waits may try. */
async function loggedLine(msg: string, stepMs = 0): Promise<Record<string, unknown>> {
  const deadline = AbortSignal.timeout(30_000)
  for (;;) {
    const line = logged.find((candidate) => candidate['msg'] === msg)
    if (line !== undefined) return line
    deadline.throwIfAborted()
    clock.advance(stepMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('a workload gets its identity, and key and certificate rest where only it can read', async () => {
  const identity = await first(start())
  expect(identity.id).toBe(WEB)
  expect(identity.roots).toBe(certs.roots)
  expect(identity.expiresAt.getTime() - clock.wall()).toBeGreaterThan(LIFETIME_MS - 2000)
  const file = join(stateDir, 'svid.pem')
  expect(statSync(file).mode & 0o777).toBe(0o600)
  expect(readFileSync(file, 'utf8')).toContain(identity.chain)
})

test('without a directory nothing is written', async () => {
  await first(start({ stateDir: null }))
  expect(statSync(join(stateDir, 'svid.pem'), { throwIfNoEntry: false })).toBeUndefined()
})

test('the certificate is renewed at two thirds of its lifetime, with a new key', async () => {
  const source = start()
  const old = await first(source)
  const leftMs = old.expiresAt.getTime() - clock.wall()
  clock.advance((leftMs * 2) / 3 - 5)
  expect(logged.filter(({ msg }) => msg === 'certificate in force').length).toBe(1)
  const renewed = until(source.identity, other(old), AbortSignal.timeout(30_000))
  clock.advance(10)
  const next = await renewed
  expect(next.expiresAt.getTime()).toBeGreaterThan(old.expiresAt.getTime())
  expect(next.key.equals(old.key)).toBe(false)
})

test.each([
  ['a tenth early', 0, 0.6],
  ['a tenth late', 0.999, 0.733],
])('jitter moves the renewal up to %s', async (_what, random, share) => {
  const identity = await first(start({ random: () => random }))
  const { renewAt } = await loggedLine('certificate in force')
  const leftMs = identity.expiresAt.getTime() - clock.wall()
  expect((Date.parse(String(renewAt)) - clock.wall()) / leftMs).toBeCloseTo(share, 2)
})

test('while certs is away the old certificate stays, and the new one comes when certs is back', async () => {
  const source = start()
  const old = await first(source)
  await certs.stop()
  clock.advance(41_000)
  await loggedLine('no certificate from certs')
  expect(source.identity.current).toBe(old)

  const renewed = until(source.identity, other(old), AbortSignal.timeout(30_000))
  const back = await startTestCerts({ lifetimeMs: LIFETIME_MS, clock, directory: certs.directory, port: certs.port })
  try {
    logged.splice(0)
    await loggedLine('certificate in force', STEP_MS)
    expect((await renewed).id).toBe(WEB)
  } finally {
    await back.stop()
  }
})

test('a restarted workload has its identity at once, with certs away', async () => {
  const source = start()
  const old = await first(source)
  source.close()
  await certs.stop()
  const again = await first(start())
  expect(again.chain).toBe(old.chain)
  expect(again.key.equals(old.key)).toBe(true)
})

test.each([
  ['readable by others', () => chmodSync(join(stateDir, 'svid.pem'), 0o644)],
  ['broken', () => writeFileSync(join(stateDir, 'svid.pem'), 'nonsense')],
  ['over', () => clock.advance(LIFETIME_MS)],
])('a stored certificate that is %s is replaced', async (_what, spoil) => {
  const source = start()
  const old = await first(source)
  source.close()
  spoil()
  const next = await first(start())
  expect(next.chain).not.toBe(old.chain)
  expect(statSync(join(stateDir, 'svid.pem')).mode & 0o777).toBe(0o600)
})

test('a stored certificate of another workload is not taken up', async () => {
  const source = start()
  await first(source)
  source.close()
  const cart = parseSpiffeId('spiffe://weft.local/ns/shop/sa/cart')
  certs.setTokens([{ token: 'secret', id: cart, addresses: ['127.0.0.1'] }])
  expect((await first(start({ id: cart }))).id).toBe(cart)
})

test('an answer for another identity than asked for is not taken up', async () => {
  certs.setTokens([{ token: 'secret', id: 'spiffe://weft.local/ns/shop/sa/cart', addresses: ['127.0.0.1'] }])
  const source = start()
  const { reason } = await loggedLine('no certificate from certs')
  expect(reason).toBe(`Error: the certificate is for spiffe://weft.local/ns/shop/sa/cart, want ${WEB}`)
  expect(source.identity.current).toBeUndefined()
})

test('a changed bundle changes the roots without a restart, and a broken one changes nothing', async () => {
  const source = start()
  const old = await first(source)
  const changed = until(
    source.identity,
    (found): found is SvidIdentity => found?.roots !== old.roots,
    AbortSignal.timeout(30_000),
  )
  writeFileSync(certs.bundleFile, 'half a bundle')
  clock.advance(5_000)
  await loggedLine('the trust bundle cannot be read; the last good one stays')
  expect(source.identity.current).toBe(old)

  const both = certs.roots + (await makeAuthority('the next root')).root
  writeFileSync(certs.bundleFile, both)
  await loggedLine('the trust bundle changed', STEP_MS)
  expect(await changed).toEqual({ ...old, roots: both })
})

test('a bundle that appears later is waited for', async () => {
  const bundleFile = join(certs.directory, 'later.pem')
  const source = start({ bundleFile })
  await loggedLine('the trust bundle cannot be read; the last good one stays')
  writeFileSync(bundleFile, certs.roots)
  await loggedLine('certificate in force', STEP_MS)
  expect(source.identity.current?.id).toBe(WEB)
})

test.each([
  ['a token that was replaced', 'another'],
  ['a token with spaces around it', '  secret \n'],
])('%s is read for the next try', async (_what, text) => {
  certs.setTokens([{ token: text.trim(), id: WEB, addresses: ['127.0.0.1'] }])
  writeFileSync(join(stateDir, 'token'), 'stale')
  const source = start()
  await loggedLine('no certificate from certs')
  writeFileSync(join(stateDir, 'token'), text)
  await loggedLine('certificate in force', STEP_MS)
  expect(source.identity.current?.id).toBe(WEB)
})

/** A server that is not certs; resolves with what a source says of it, and with every byte that it was sent inside TLS. */
async function impostor(identity: SvidIdentity): Promise<{ reason: unknown; heard: string }> {
  const heard: Buffer[] = []
  const server = createServer({
    cert: identity.chain,
    key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
    ALPNProtocols: ['h2'],
  })
  server.on('tlsClientError', () => {})
  server.on('secureConnection', (socket) => {
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => heard.push(chunk))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const source = start({ certsAddress: `127.0.0.1:${(server.address() as { port: number }).port}` })
  const { reason } = await loggedLine('no certificate from certs')
  expect(source.identity.current).toBeUndefined()
  source.close()
  server.close()
  return { reason, heard: Buffer.concat(heard).toString('latin1') }
}

test('a workload of the mesh that poses as certs gets no token', async () => {
  const authority = await makeAuthority()
  writeFileSync(certs.bundleFile, authority.root)
  const { reason, heard } = await impostor(await authority.identity('spiffe://weft.local/ns/shop/sa/cart'))
  expect(reason).toMatch(/the server is spiffe:\/\/weft\.local\/ns\/shop\/sa\/cart, want .*weft-certs/)
  expect(heard).toBe('')
})

test('a server with the name of certs under another root gets no token', async () => {
  const authority = await makeAuthority()
  const { reason, heard } = await impostor(await authority.identity(CERTS_ID))
  expect(reason).toMatch(/unable to (verify|get)|No connection established/)
  expect(heard).toBe('')
})

/** The end of the certificate that certs shows to who connects now. */
async function shownEnd(): Promise<number> {
  const socket = connectTls({
    host: '127.0.0.1',
    port: certs.port,
    ca: certs.roots,
    ALPNProtocols: ['h2'],
    checkServerIdentity: () => undefined,
  })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  const end = socket.getPeerX509Certificate()?.validToDate.getTime() ?? 0
  socket.destroy()
  return end
}

test('certs renews its own certificate at half of its lifetime', async () => {
  const first = await shownEnd()
  clock.advance(LIFETIME_MS / 3)
  expect(await shownEnd()).toBe(first)
  clock.advance(LIFETIME_MS / 3)
  await expect.poll(shownEnd, { interval: 5 }).toBeGreaterThan(first)
})
