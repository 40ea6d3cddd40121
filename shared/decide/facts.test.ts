import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalPath } from './facts.ts'

describe('a plain path stays as it is', () => {
  test.each([
    '/',
    '/a',
    '/a/b',
    '/a/',
    '/.well-known/x',
    '/a/.hidden',
    '/a..b/c.',
    '/a;v=1/b',
    "/a!$&'()*+,=:@~",
    '/a%20b',
    '/%2B',
    '*',
  ])('%s', (path) => {
    expect(canonicalPath(path)).toEqual({ path, query: '', isPathPlain: true })
  })
})

// As in Istio's normalisation table (CVE-2021-31920, CVE-2021-39156), and what servers do besides.
test.each([
  ['//a', '/a', false],
  ['/a//b', '/a/b', false],
  ['/a///', '/a/', false],
  ['/a/./b', '/a/b', false],
  ['/a/../b', '/b', false],
  ['/../../b', '/b', false],
  ['/a/..', '/', false],
  ['/a/b/..', '/a/', false],
  ['/a/.', '/a/', false],
  ['/%2e%2e/a', '/a', false],
  ['/a/%2E/b', '/a/b', false],
  ['/a/.%2e/b', '/b', false],
  ['/a%2Fb', '/a/b', false],
  ['/a%2fb', '/a/b', false],
  ['/a\\b', '/a/b', false],
  ['/a%5Cb', '/a/b', false],
  ['/a%5cb', '/a/b', false],
  ['/x%2F..%2Fadmin', '/admin', false],
  ['/a#b', '/a', false],
  ['/a#b?c', '/a', false],
  ['http://evil/a', '/http:/evil/a', false],
  ['', '/', false],
  ['/%61dmin', '/admin', true],
  ['/%7euser', '/~user', true],
  ['/caf%c3%a9', '/caf%C3%A9', true],
  ['/caf\u00c3\u00a9', '/caf%C3%A9', true],
  ['/caf\u4e00', '/caf%E4%B8%80', true],
  ['/a b', '/a%20b', true],
  ['/a"b', '/a%22b', true],
  ['/100%', '/100%25', true],
  ['/a%zz', '/a%25zz', true],
  ['/%%32%66', '/%252f', true],
  ['/%252F', '/%252F', true],
  ['/a%00', '/a%00', true],
])('%s is read as %s', (target, path, isPathPlain) => {
  expect(canonicalPath(target)).toMatchObject({ path, isPathPlain })
})

test.each([
  ['/a?b=1', '/a', 'b=1'],
  ['/a?', '/a', ''],
  ['/a?b?c', '/a', 'b?c'],
  ['/a//?b=//', '/a/', 'b=//'],
  ['/%61?x', '/a', 'x'],
  ['*?x', '*', 'x'],
])('%s has the query after its first question mark', (target, path, query) => {
  expect(canonicalPath(target)).toMatchObject({ path, query })
})

const PIECES = [
  '/',
  '.',
  '..',
  '//',
  '%2F',
  '%2f',
  '%5C',
  '\\',
  '%2e',
  '%2E',
  'a',
  'b',
  'A',
  '%61',
  '%',
  '%2',
  '%32',
  '%66',
  '~',
  ';',
  '+',
  '%2B',
  ' ',
  '\u00e9',
  '%C3%a9',
  '%25',
  '-',
  '_',
]
const pathLike = fc.array(fc.constantFrom(...PIECES), { maxLength: 12 }).map((pieces) => `/${pieces.join('')}`)

test('the canonical path is its own canonical path, and plain', () => {
  fc.assert(
    fc.property(fc.oneof(pathLike, fc.string({ unit: 'binary' })), (text) => {
      const { path } = canonicalPath(text)
      expect(canonicalPath(path)).toEqual({ path, query: '', isPathPlain: true })
    }),
    { numRuns: 5000 },
  )
})

test('spellings that differ only in escapes of unreserved characters are one path', () => {
  const letters = fc.array(fc.tuple(fc.constantFrom(...'azAZ09-_~/'), fc.integer({ min: 0, max: 2 })), {
    maxLength: 12,
  })
  fc.assert(
    fc.property(letters, (items) => {
      const plain = `/x${items.map(([letter]) => letter).join('')}`
      const escaped = `/x${items.map(([letter, how]) => (letter === '/' ? letter : spell(letter, how))).join('')}`
      expect(canonicalPath(escaped).path).toBe(canonicalPath(plain).path)
    }),
    { numRuns: 2000 },
  )
})

function spell(letter: string, how: number): string {
  const hex = letter.charCodeAt(0).toString(16)
  return how === 0 ? letter : `%${how === 1 ? hex : hex.toUpperCase()}`
}

test('a path that is called plain is the same to a URL parser, which follows dot segments and backslashes', () => {
  const ofUrls = pathLike.filter((text) => !/[ \u00e9]/.test(text))
  fc.assert(
    fc.property(ofUrls, (text) => {
      const { path, isPathPlain } = canonicalPath(text)
      if (isPathPlain) expect(canonicalPath(new URL(`http://host${text}`).pathname).path).toBe(path)
    }),
    { numRuns: 3000 },
  )
})
