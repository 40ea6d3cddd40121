import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Fields } from '#flow/stream.ts'
import { ORIGINAL, takeOriginal, tellNames, tellOriginal } from './original.ts'

/** What a codec of HTTP/2 does to names. */
const onTheWire = (fields: Fields): Fields => fields.map((text, at) => (at % 2 === 0 ? text.toLowerCase() : text))

const TOKEN = [..."!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"]
const name = fc.string({ unit: fc.constantFrom(...TOKEN), minLength: 1, maxLength: 12 })
const message = fc
  .array(fc.tuple(name, fc.string({ maxLength: 8 })), { maxLength: 12 })
  .map((pairs) => pairs.filter(([text]) => text.toLowerCase() !== ORIGINAL).flat())
const pseudo = [':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/']

test('whatever names a message of HTTP/1.1 has, they are the same behind HTTP/2', () => {
  fc.assert(
    fc.property(message, fc.constantFrom('1.0' as const, '1.1' as const), (sent, version) => {
      const fields = [...pseudo, ...sent]
      tellOriginal(fields, version)
      const received = onTheWire(fields)

      expect(takeOriginal(received)).toBe(version)
      expect(received).toEqual([...pseudo, ...sent])
    }),
  )
})

test('names behind one that HTTP/2 has joined or dropped on its way keep their case', () => {
  const fields = [...pseudo, 'Cookie', 'a', 'X-Id', '1', 'Cookie', 'b', 'Host', 'c', 'X-Last', '2']
  tellOriginal(fields, '1.1')
  const received = onTheWire([...pseudo, 'cookie', 'a; b', 'x-id', '1', 'x-last', '2', ...fields.slice(-2)])
  takeOriginal(received)

  expect(received).toEqual([...pseudo, 'Cookie', 'a; b', 'X-Id', '1', 'X-Last', '2'])
})

test('names in lower case cost no more than the version', () => {
  const fields = [':method', 'GET', 'accept', '*/*']
  tellOriginal(fields, '1.1')

  expect(fields.slice(-2)).toEqual([ORIGINAL, '1.1'])
})

test('an answer tells nothing where there is nothing to tell', () => {
  const plain = [':status', '200', 'x-a', '1']
  const cased = [':status', '200', 'X-A', '1']
  tellNames(plain, '1.1')
  tellNames(cased, '1.1')

  expect(plain).toHaveLength(4)
  expect(cased.slice(4)).toEqual([ORIGINAL, '1.1 X-A'])
})

test('without the field a message is one of HTTP/2', () => {
  expect(takeOriginal([':method', 'GET', 'accept', '*/*'])).toBe('2')
})

describe('a list that does not fit its message', () => {
  test.each([
    ['1.1 Content-Length,Host', ['x-a', '1', 'x-b', '2']],
    ['1.1 X-A,X-B,X-C,X-D', ['x-b', '1', 'x-a', '2']],
    ['1.1 ,,,', ['x-a', '1']],
    ['1.1 Transfer-Encoding', []],
    ['9.9 X-A', []],
  ])('%s brings in no name and changes none', (value, fields) => {
    const received = [':method', 'GET', ...fields, ORIGINAL, value]
    takeOriginal(received)

    expect(received.map((text) => text.toLowerCase())).toEqual(
      [':method', 'GET', ...fields].map((t) => t.toLowerCase()),
    )
  })

  test('a version of neither kind is taken for HTTP/2', () => {
    expect(takeOriginal([ORIGINAL, '3'])).toBe('2')
    expect(takeOriginal([ORIGINAL, ''])).toBe('2')
  })
})

test('a message with names of more than 4 KiB goes without their case', () => {
  const fields = Array.from({ length: 90 }, (_, i) => [`X-${'a'.repeat(60)}-${i}`, 'v']).flat()
  tellOriginal(fields, '1.1')

  expect(fields.slice(-2)).toEqual([ORIGINAL, '1.1'])
})
