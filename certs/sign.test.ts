import { execFileSync } from 'node:child_process'
import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { notAfterOf, spiffeIdOf } from '#shared/identity/x509.ts'
import type { Authority } from './authority.ts'
import { openAuthority } from './root-files.ts'
import { issueSvid } from './sign.ts'

const ID = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')
const directory = mkdtempSync(join(tmpdir(), 'weft-sign-'))
const wallMs = Date.now()
const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' })
let authority: Authority
beforeAll(async () => {
  authority = await openAuthority({ stateDir: join(directory, 'state'), trustDomain: 'weft.local', wallMs })
})
afterAll(() => rmSync(directory, { recursive: true }))

test('openssl finds the certificate good for both ends and reads what we said', async () => {
  const { chain } = await issueSvid(authority, { id: ID, publicKey, lifetimeMs: 60_000, wallMs })
  const leaf = join(directory, 'leaf.pem')
  const root = join(directory, 'root.pem')
  writeFileSync(leaf, chain)
  writeFileSync(root, authority.bundle)
  for (const purpose of ['sslclient', 'sslserver']) {
    const words = ['verify', '-x509_strict', '-purpose', purpose, '-CAfile', root, leaf]
    expect(execFileSync('openssl', words, { encoding: 'utf8' })).toContain(': OK')
  }
  const shown = execFileSync('openssl', ['x509', '-in', leaf, '-noout', '-text'], { encoding: 'utf8' })
  expect(shown.replaceAll(/\s+/g, ' ')).toContain(`X509v3 Subject Alternative Name: critical URI:${ID} `)
  expect(shown).toMatch(/Basic Constraints: critical\s+CA:FALSE/)
  expect(shown).toMatch(/Key Usage: critical\s+Digital Signature\n/)
  expect(shown).toMatch(/TLS Web Server Authentication, TLS Web Client Authentication\n/)
  expect(shown).toMatch(/Subject: \n/)
})

test('it carries the key that was asked for, the identity, the lifetime and a start five minutes ago', async () => {
  const { chain, notAfterMs } = await issueSvid(authority, { id: ID, publicKey, lifetimeMs: 60_000, wallMs })
  const leaf = new X509Certificate(chain)
  expect(leaf.publicKey.export({ type: 'spki', format: 'der' }).equals(publicKey)).toBe(true)
  expect(spiffeIdOf(leaf.raw)).toBe(ID)
  expect(notAfterOf(leaf.raw).getTime()).toBe(notAfterMs)
  expect(notAfterMs).toBe(Math.floor((wallMs + 60_000) / 1000) * 1000)
  expect(Math.abs(leaf.validFromDate.getTime() - (wallMs - 300_000))).toBeLessThan(1000)
})

test('serial numbers are 20 bytes and differ', async () => {
  const orders = Array.from({ length: 20 }, () =>
    issueSvid(authority, { id: ID, publicKey, lifetimeMs: 60_000, wallMs }),
  )
  const serials = (await Promise.all(orders)).map(({ chain }) => new X509Certificate(chain).serialNumber)
  expect(new Set(serials).size).toBe(20)
  for (const serial of serials) expect(serial).toMatch(/^[4-7][0-9A-F]{39}$/)
})

test('a certificate never outlives the root', async () => {
  const tooLong = 20 * 365 * 24 * 3600 * 1000
  const { notAfterMs } = await issueSvid(authority, { id: ID, publicKey, lifetimeMs: tooLong, wallMs })
  expect(notAfterMs).toBe(authority.endsAt.getTime())
})
