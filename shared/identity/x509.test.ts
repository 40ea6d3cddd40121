import 'reflect-metadata'
import { Extension, KeyUsageFlags } from '@peculiar/x509'
import { beforeAll, expect, test } from 'vitest'
import {
  authorityConstraints,
  derOf,
  keyUsageOf,
  type LeafOptions,
  makeAuthority,
  purposesOf,
  sanOf,
  type TestAuthority,
} from '../../test/support/authority.ts'
import { DER, encodeElement } from './der.ts'
import { notAfterOf, spiffeIdOf } from './x509.ts'

const ID = 'spiffe://weft.local/ns/shop/sa/catalog'
let authority: TestAuthority
beforeAll(async () => {
  authority = await makeAuthority()
})

/** A SAN extension of raw GeneralNames. */
const rawSan = (...names: readonly Buffer[]) => new Extension('2.5.29.17', true, encodeElement(DER.sequence, ...names))
const uri = (text: string | Buffer) => encodeElement(0x86, Buffer.from(text as string, 'latin1'))
const dns = (text: string) => encodeElement(0x82, Buffer.from(text, 'latin1'))

test('an SVID gives its identity and its end', async () => {
  const { der, expiresAt } = await authority.leaf(ID)
  expect(spiffeIdOf(der)).toBe(ID)
  expect(notAfterOf(der)).toEqual(expiresAt)
})

const GOOD: readonly (readonly [string, LeafOptions])[] = [
  ['DNS names beside the URI', { san: rawSan(dns('catalog.shop'), uri(ID), dns('catalog')) }],
  ['a subject and a SAN that is not critical', { san: sanOf([ID], false), subject: 'CN=catalog' }],
  ['no basic constraints', { constraints: null }],
  ['no extended key usage', { extendedKeyUsage: null }],
  ['keyEncipherment and keyAgreement beside digitalSignature', { keyUsage: keyUsageOf(1 | 4 | 16) }],
  [
    'an unknown extension that is not critical',
    { more: [new Extension('1.3.6.1.4.1.99999.1', false, Buffer.of(5, 0))] },
  ],
  ['an end after 2050', { notAfter: new Date('2061-02-03T04:05:06Z') }],
]
test.each(GOOD)('an SVID may have %s', async (_what, options) => {
  const { der, expiresAt } = await authority.leaf(ID, options)
  expect(spiffeIdOf(der)).toBe(ID)
  expect(notAfterOf(der)).toEqual(expiresAt)
})

const BAD: readonly (readonly [string, LeafOptions, string])[] = [
  ['no SAN', { san: null }, 'no subject alternative name'],
  ['a SAN with DNS names only', { san: rawSan(dns('catalog.shop')) }, 'the SAN has no URI'],
  ['a SPIFFE ID as a DNS name', { san: rawSan(dns(ID)) }, 'the SAN has no URI'],
  ['two SPIFFE IDs', { san: sanOf([ID, 'spiffe://weft.local/ns/shop/sa/admin']) }, 'more than one URI'],
  ['a URI of another scheme beside the SPIFFE ID', { san: sanOf([ID, 'https://weft.local/']) }, 'more than one URI'],
  ['a URI that is no SPIFFE ID', { san: sanOf(['https://weft.local/ns/shop/sa/catalog']) }, 'not a SPIFFE ID'],
  ['a SPIFFE ID without a path, as signers have', { san: sanOf(['spiffe://weft.local']) }, 'not a SPIFFE ID'],
  [
    'a SPIFFE ID longer than 2048 bytes',
    { san: sanOf([`spiffe://weft.local/ns/shop/sa/${'a'.repeat(2048)}`]) },
    'longer than 2048',
  ],
  ['a NUL after the identity', { san: rawSan(uri(`${ID}\0.evil.example`)) }, 'not printable ASCII'],
  [
    'a NUL inside the identity',
    { san: rawSan(uri('spiffe://weft.local/ns/shop/sa/cata\0log')) },
    'not printable ASCII',
  ],
  [
    'bytes beyond ASCII in the identity',
    { san: rawSan(uri('spiffe://weft.local/ns/shop/sa/\u00e9')) },
    'not printable ASCII',
  ],
  ['a newline at the end of the identity', { san: rawSan(uri(`${ID}\n`)) }, 'not printable ASCII'],
  ['an empty subject and a SAN that is not critical', { san: sanOf([ID], false) }, 'SAN is not critical'],
  ['two SANs', { more: [sanOf(['spiffe://weft.local/ns/shop/sa/admin'])] }, 'stands twice'],
  [
    'bytes after the list of names',
    { san: new Extension('2.5.29.17', true, Buffer.concat([encodeElement(0x30, uri(ID)), Buffer.of(5, 0)])) },
    'bytes follow',
  ],
  ['cA set', { constraints: authorityConstraints() }, 'is an authority'],
  ['no key usage', { keyUsage: null }, 'no key usage'],
  ['a key usage that is not critical', { keyUsage: keyUsageOf(KeyUsageFlags.digitalSignature, false) }, 'not critical'],
  [
    'a key usage without digitalSignature',
    { keyUsage: keyUsageOf(KeyUsageFlags.keyAgreement) },
    'lacks digitalSignature',
  ],
  [
    'keyCertSign',
    { keyUsage: keyUsageOf(KeyUsageFlags.digitalSignature | KeyUsageFlags.keyCertSign) },
    'keyCertSign or cRLSign',
  ],
  [
    'cRLSign',
    { keyUsage: keyUsageOf(KeyUsageFlags.digitalSignature | KeyUsageFlags.cRLSign) },
    'keyCertSign or cRLSign',
  ],
  [
    'an extended key usage without clientAuth',
    { extendedKeyUsage: purposesOf('serverAuth') },
    'serverAuth or clientAuth',
  ],
  [
    'an extended key usage without serverAuth',
    { extendedKeyUsage: purposesOf('clientAuth') },
    'serverAuth or clientAuth',
  ],
  [
    'an extended key usage for something else',
    { extendedKeyUsage: purposesOf('codeSigning') },
    'serverAuth or clientAuth',
  ],
  [
    'a critical extension that nobody knows',
    { more: [new Extension('1.3.6.1.4.1.99999.1', true, Buffer.of(5, 0))] },
    'not understood',
  ],
]
test.each(BAD)('a certificate with %s is no SVID', async (_what, options, reason) => {
  const { der } = await authority.leaf(ID, options)
  expect(() => spiffeIdOf(der)).toThrow(reason)
})

test('the root itself is no SVID', () => {
  expect(() => spiffeIdOf(derOf(authority.root))).toThrow('is an authority')
})

test('a certificate whose two signature algorithms differ is no SVID', async () => {
  const { der } = await authority.leaf(ID)
  const sha256 = Buffer.from('2a8648ce3d040302', 'hex')
  const changed = Buffer.from(der)
  changed[der.lastIndexOf(sha256) + sha256.length - 1] = 3
  expect(() => spiffeIdOf(changed)).toThrow('signature algorithms differ')
})

test.each([0, 1])('an X.509 certificate of version %i + 1 is no SVID', async (version) => {
  const { der } = await authority.leaf(ID)
  const changed = Buffer.from(der)
  changed[der.indexOf(Buffer.from('a003020102', 'hex')) + 4] = version
  expect(() => spiffeIdOf(changed)).toThrow('version 3')
})

test('every certificate that is cut short is refused', async () => {
  const { der } = await authority.leaf(ID)
  for (let length = 0; length < der.length; length++) expect(() => spiffeIdOf(der.subarray(0, length))).toThrow()
})

test('bytes after the certificate are refused', async () => {
  const { der } = await authority.leaf(ID)
  expect(() => spiffeIdOf(Buffer.concat([der, Buffer.of(0)]))).toThrow('bytes follow')
})

test('a certificate with any byte changed gives the same identity, another well-formed one or an Error, and never hangs', async () => {
  const { der } = await authority.leaf(ID)
  for (let index = 0; index < der.length; index++) {
    for (const flip of [0x01, 0x80, 0xff]) {
      const changed = Buffer.from(der)
      changed[index] = (changed[index] ?? 0) ^ flip
      let found = ''
      try {
        found = spiffeIdOf(changed)
      } catch (error) {
        expect(error).toBeInstanceOf(Error)
        continue
      }
      expect(found).toMatch(/^spiffe:\/\/[a-z0-9._-]+\/ns\/[a-z0-9-]+\/sa\/[a-z0-9.-]+$/)
    }
  }
})
