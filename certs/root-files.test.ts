import { X509Certificate } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeAuthority } from '../test/support/authority.ts'
import { openAuthority } from './root-files.ts'

const TRUST_DOMAIN = 'weft.local'
const wallMs = Date.parse('2026-06-01T12:00:00Z')
let stateDir = ''
beforeEach(() => {
  stateDir = join(mkdtempSync(join(tmpdir(), 'weft-authority-')), 'state')
})
afterEach(() => rmSync(join(stateDir, '..'), { recursive: true }))

const open = (overrides: { wallMs?: number; trustDomain?: string } = {}) =>
  openAuthority({ stateDir, trustDomain: TRUST_DOMAIN, wallMs, ...overrides })
const keyFile = () => join(stateDir, 'root.key')
const rootFile = () => join(stateDir, 'root.pem')

test('the first start makes a root for ten years that signs and does nothing else', async () => {
  const { bundle } = await open()
  const root = new X509Certificate(bundle)
  expect(root.ca).toBe(true)
  expect(root.publicKey.asymmetricKeyDetails).toEqual({ namedCurve: 'prime256v1' })
  expect(root.validToDate.getTime() - wallMs).toBe(10 * 365 * 24 * 3600 * 1000)
  expect(root.subjectAltName).toBe('URI:spiffe://weft.local')
  expect(root.verify(root.publicKey)).toBe(true)
  expect(readFileSync(rootFile(), 'utf8')).toBe(bundle)
})

test('the key of the root is for its owner alone', async () => {
  await open()
  expect(statSync(keyFile()).mode & 0o777).toBe(0o600)
  expect(statSync(stateDir).mode & 0o777).toBe(0o700)
})

test('the next start uses the same root', async () => {
  const first = await open()
  const second = await open()
  expect(second.bundle).toBe(first.bundle)
})

test('a key that others can read stops the start, with the way out', async () => {
  await open()
  chmodSync(keyFile(), 0o640)
  await expect(open()).rejects.toThrow(`${keyFile()} has the mode 640, others could read it: chmod 600 ${keyFile()}`)
})

test.each(['root.key', 'root.pem'])('a missing %s stops the start rather than making a new root', async (name) => {
  const { bundle } = await open()
  const key = readFileSync(keyFile(), 'utf8')
  unlinkSync(join(stateDir, name))
  await expect(open()).rejects.toThrow(`${join(stateDir, name)} is missing while its partner is there`)
  expect([key, bundle]).toContain(readFileSync(name === 'root.key' ? rootFile() : keyFile(), 'utf8'))
})

test('a certificate and a key that are no pair stop the start', async () => {
  await open()
  writeFileSync(rootFile(), (await makeAuthority()).root)
  await expect(open()).rejects.toThrow('root.key are no pair')
})

test('a key file with something else in it stops the start', async () => {
  await open()
  writeFileSync(keyFile(), 'not a key')
  await expect(open()).rejects.toThrow('holds no private key in PEM form')
})

test('a root file with something else in it stops the start', async () => {
  await open()
  writeFileSync(rootFile(), 'not a certificate')
  await expect(open()).rejects.toThrow('no certificate in PEM form')
})

test('a root that has ended stops the start', async () => {
  await open()
  await expect(open({ wallMs: wallMs + 11 * 365 * 24 * 3600 * 1000 })).rejects.toThrow(/ended at 2036-/)
})

test('the root of another trust domain stops the start', async () => {
  await open()
  await expect(open({ trustDomain: 'other.example' })).rejects.toThrow(
    'is for spiffe://weft.local, want spiffe://other.example',
  )
})

test('further roots in root.pem are published with ours', async () => {
  await open()
  const { root } = await makeAuthority('the root before')
  appendFileSync(rootFile(), root)
  expect((await open()).bundle).toContain(root)
})
