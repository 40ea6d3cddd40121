import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '#shared/log.ts'
import { createTokenAttestor } from './attest.ts'

const WEB = 'spiffe://weft.local/ns/shop/sa/web'
const hashOf = (token: string) => createHash('sha256').update(token).digest('hex')
let directory = ''
let file = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'weft-attest-'))
  file = join(directory, 'tokens.json')
})
afterEach(() => rmSync(directory, { recursive: true }))

const write = (tokens: unknown) => writeFileSync(file, JSON.stringify({ tokens }))
const entry = { sha256: hashOf('secret'), spiffeId: WEB, addresses: ['10.77.0.5', 'FD77:0::5'] }

test.each(['10.77.0.5', 'fd77::5'])('a token is good from %s, an address of its pod', (source) => {
  write([entry])
  expect(createTokenAttestor(file, silentLog).attest('secret', source)).toEqual({ id: WEB })
})

test.each(['10.77.0.6', 'fd77::6', '::1', 'unknown'])('the same token is of no use from %s', (source) => {
  write([entry])
  expect(createTokenAttestor(file, silentLog).attest('secret', source)).toEqual({
    refusal: `the token is of ${WEB}, which has not this address`,
  })
})

test('a missing file admits nobody, and a file that appears is read', () => {
  const attestor = createTokenAttestor(file, silentLog)
  expect(attestor.attest('secret', '10.77.0.5')).toEqual({ refusal: 'the token is unknown' })
  write([entry])
  expect(attestor.attest('secret', '10.77.0.5')).toEqual({ id: WEB })
  unlinkSync(file)
  expect(attestor.attest('secret', '10.77.0.5')).toEqual({ refusal: 'the token is unknown' })
})

test.each([
  ['no list', { tokens: {} }],
  ['a hash in capitals', { tokens: [{ ...entry, sha256: entry.sha256.toUpperCase() }] }],
  ['an identity that is none', { tokens: [{ ...entry, spiffeId: 'web' }] }],
  ['an address that is none', { tokens: [{ ...entry, addresses: ['pod'] }] }],
  ['one bad entry among good ones', { tokens: [entry, {}] }],
])('a file with %s admits nobody', (_what, document) => {
  writeFileSync(file, JSON.stringify(document))
  expect(createTokenAttestor(file, silentLog).attest('secret', '10.77.0.5')).toEqual({
    refusal: 'the token is unknown',
  })
})
