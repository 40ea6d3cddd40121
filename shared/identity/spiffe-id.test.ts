import { expect, test } from 'vitest'
import { formatSpiffeId, parseSpiffeId, spiffeIdParts } from './spiffe-id.ts'

test('an identity is made of its parts and gives them back', () => {
  const parts = { trustDomain: 'weft.local', namespace: 'shop', serviceAccount: 'catalog' }
  const id = formatSpiffeId(parts)
  expect(id).toBe('spiffe://weft.local/ns/shop/sa/catalog')
  expect(spiffeIdParts(id)).toEqual(parts)
})

test.each([
  'spiffe://weft.local/ns/shop/sa/catalog',
  'spiffe://a/ns/b/sa/c',
  'spiffe://weft_1-x.example.org/ns/a-b/sa/c.d-e',
])('%s is an identity', (text) => {
  expect(parseSpiffeId(text)).toBe(text)
})

test.each([
  ['no path', 'spiffe://weft.local'],
  ['the root path', 'spiffe://weft.local/'],
  ['another scheme', 'https://weft.local/ns/shop/sa/catalog'],
  ['a scheme in capitals', 'SPIFFE://weft.local/ns/shop/sa/catalog'],
  ['a trust domain in capitals', 'spiffe://Weft.local/ns/shop/sa/catalog'],
  ['no trust domain', 'spiffe:///ns/shop/sa/catalog'],
  ['a port', 'spiffe://weft.local:443/ns/shop/sa/catalog'],
  ['a user', 'spiffe://me@weft.local/ns/shop/sa/catalog'],
  ['a query', 'spiffe://weft.local/ns/shop/sa/catalog?x'],
  ['a fragment', 'spiffe://weft.local/ns/shop/sa/catalog#x'],
  ['a slash at the end', 'spiffe://weft.local/ns/shop/sa/catalog/'],
  ['a further segment', 'spiffe://weft.local/ns/shop/sa/catalog/x'],
  ['an empty segment', 'spiffe://weft.local/ns//sa/catalog'],
  ['dot segments', 'spiffe://weft.local/ns/../sa/catalog'],
  ['an escape', 'spiffe://weft.local/ns/sh%6fp/sa/catalog'],
  ['a NUL', 'spiffe://weft.local/ns/shop/sa/catalog\0'],
  ['a newline at the end', 'spiffe://weft.local/ns/shop/sa/catalog\n'],
  ['another shape', 'spiffe://weft.local/workload/catalog'],
])('an identity with %s is refused, and the error shows a right one', (_what, text) => {
  expect(() => parseSpiffeId(text)).toThrow(/is not a SPIFFE ID such as spiffe:\/\/weft\.local\/ns\/shop\/sa\/catalog/)
})
