import { spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { encodeCsr } from './csr.ts'
import { parseSpiffeId } from './spiffe-id.ts'

const directory = mkdtempSync(join(tmpdir(), 'weft-csr-'))
afterAll(() => rmSync(directory, { recursive: true }))

/** openssl 3.0 tells the verdict on stderr alone, and exits with 0. */
const openssl = (...words: readonly string[]) => spawnSync('openssl', words, { encoding: 'utf8' })

test.each([
  'spiffe://weft.local/ns/shop/sa/catalog',
  // Lengths in the long form, at every level.
  `spiffe://${'weft.'.repeat(40)}local/ns/${'n'.repeat(63)}/sa/${'s'.repeat(253)}`,
])('openssl verifies our CSR and reads from it the key and the name (%#)', (text) => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const file = join(directory, 'request.der')
  writeFileSync(file, encodeCsr(privateKey, publicKey, parseSpiffeId(text)))

  const shown = openssl('req', '-inform', 'DER', '-in', file, '-verify', '-noout', '-text', '-nameopt', 'utf8')
  const key = openssl('req', '-inform', 'DER', '-in', file, '-noout', '-pubkey')

  expect(shown.stderr).toContain('verify OK')
  expect(shown.stdout).toContain('Version: 1 (0x0)')
  expect(shown.stdout).toContain('NIST CURVE: P-256')
  expect(shown.stdout).toContain('Signature Algorithm: ecdsa-with-SHA256')
  expect(shown.stdout.replaceAll(/\s+/g, ' ')).toContain(`X509v3 Subject Alternative Name: critical URI:${text} `)
  expect(key.stdout).toBe(publicKey.export({ type: 'spki', format: 'pem' }))
})

test('openssl refuses our CSR when one bit of it has changed', () => {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const csr = encodeCsr(privateKey, publicKey, parseSpiffeId('spiffe://weft.local/ns/shop/sa/catalog'))
  csr[csr.indexOf('catalog')] = 'X'.charCodeAt(0)
  const file = join(directory, 'changed.der')
  writeFileSync(file, csr)
  const shown = openssl('req', '-inform', 'DER', '-in', file, '-verify', '-noout')
  expect(shown.stderr).not.toContain('verify OK')
  expect(shown.stderr).toMatch(/verify fail/)
})
