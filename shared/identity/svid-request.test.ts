import { generateKeyPairSync } from 'node:crypto'
import { beforeAll, expect, test } from 'vitest'
import { makeAuthority, type TestAuthority } from '../../test/support/authority.ts'
import { parseSpiffeId } from './spiffe-id.ts'
import type { SvidIdentity } from './svid.ts'
import { checkSvid, type SvidParts } from './svid-request.ts'

const WEB = parseSpiffeId('spiffe://weft.local/ns/shop/sa/web')
const wallMs = Date.now()
let authority: TestAuthority
let good: SvidIdentity
beforeAll(async () => {
  authority = await makeAuthority()
  good = await authority.identity(WEB)
})

test('an answer that is what was asked for becomes the identity', () => {
  expect(checkSvid({ ...good, wallMs })).toEqual(good)
})

test('it may lead to any of several roots', async () => {
  const roots = (await makeAuthority('another root')).root + good.roots
  expect(checkSvid({ ...good, roots, wallMs }).roots).toBe(roots)
})

const BAD: readonly (readonly [string, () => Partial<SvidParts> | Promise<Partial<SvidParts>>, string | RegExp])[] = [
  [
    'for another identity',
    () => authority.identity('spiffe://weft.local/ns/shop/sa/cart').then(({ chain, key }) => ({ chain, key })),
    `is for spiffe://weft.local/ns/shop/sa/cart, want ${WEB}`,
  ],
  [
    'for another key',
    () => ({ key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey }),
    'is for another key',
  ],
  [
    'of another root',
    async () => ({ roots: (await makeAuthority('another root')).root }),
    'signed by none of the trusted roots',
  ],
  [
    'of another root with the same name',
    async () => ({ roots: (await makeAuthority()).root }),
    'signed by none of the trusted roots',
  ],
  ['that has ended', () => ({ wallMs: good.expiresAt.getTime() }), /a certificate ended at/],
  ['that is not valid yet', () => ({ wallMs: wallMs - 2 * 3600_000 }), /valid only from .*; check the clock/],
  ['that is no certificate', () => ({ chain: 'nonsense' }), 'no certificate in PEM form'],
]
test.each(BAD)('an answer %s is not taken up', async (_what, change, reason) => {
  const parts = { ...good, wallMs, ...(await change()) }
  expect(() => checkSvid(parts)).toThrow(reason)
})
