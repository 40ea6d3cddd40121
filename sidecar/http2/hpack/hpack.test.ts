import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Unsendable } from '#flow/error.ts'
import { type Fields, NEVER_INDEXED } from '#flow/stream.ts'
import { HpackDecoder, HpackError } from './decode.ts'
import { blockBound, HpackEncoder } from './encode.ts'

interface Read {
  readonly fields: Fields
  readonly never: string[]
  readonly isSound: boolean
}

function decode(decoder: HpackDecoder, block: Buffer): Read {
  const fields: Fields = []
  const never: string[] = []
  let isSound = true
  decoder.decode(block, 0, block.length, {
    field(name, value, sound, isNeverIndexed) {
      fields.push(name, value)
      if (isNeverIndexed) never.push(name)
      isSound &&= sound
    },
  })
  return { fields, never, isSound }
}

function encode(encoder: HpackEncoder, fields: Fields): Buffer {
  const into = Buffer.alloc(blockBound(fields))
  return into.subarray(0, encoder.encode(fields, into, 0))
}

const lower = (fields: Fields): Fields => fields.map((text, index) => (index % 2 === 0 ? text.toLowerCase() : text))
const character = (allowed: string) => fc.constantFrom(...allowed)
const name = fc.oneof(
  fc.constantFrom(
    'accept',
    'Content-Type',
    'x-id',
    'X-ID',
    'date',
    ':path',
    ':authority',
    'set-cookie',
    'cache-control',
  ),
  fc.string({ unit: character("abcxyzABC019-_.!#$%&'*+^`|~"), minLength: 1, maxLength: 30 }),
)
const value = fc.oneof(
  fc.constantFrom('', 'a', 'gzip', 'text/html', 'no-cache'),
  fc.string({
    unit: fc
      .integer({ min: 0x21, max: 0xff })
      .filter((code) => code !== 0x7f)
      .map((code) => String.fromCharCode(code)),
    maxLength: 200,
  }),
  fc.integer({ min: 1, max: 3000 }).map((size) => 'v'.repeat(size)),
)
const section = fc.array(fc.tuple(name, value), { maxLength: 30 }).map((pairs) => pairs.flat())

test('whatever is encoded is decoded as it was, over many blocks and changes of the table size', () => {
  const step = fc.record({ fields: section, limit: fc.option(fc.integer({ min: 0, max: 5000 })), again: fc.boolean() })
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), (steps) => {
      const encoder = new HpackEncoder()
      const decoder = new HpackDecoder()
      for (const { fields, limit, again } of steps) {
        if (limit !== null) encoder.limitTable(limit)
        for (let round = 0; round < (again ? 3 : 1); round++) {
          const read = decode(decoder, encode(encoder, fields))
          expect(read).toEqual({ fields: lower(fields), never: [], isSound: true })
        }
      }
    }),
    { numRuns: 300 },
  )
})

test('bytes of any kind are read or refused, and nothing else', () => {
  const blocks = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 60 }),
      fc
        .array(fc.constantFrom(0x82, 0xbe, 0x40, 0x01, 0x3f, 0xe1, 0x1f, 0x00, 0x10, 0x61), { maxLength: 40 })
        .map((bytes) => Uint8Array.from(bytes)),
    ),
    { maxLength: 10 },
  )
  fc.assert(
    fc.property(blocks, (parts) => {
      const decoder = new HpackDecoder()
      try {
        for (const part of parts) decode(decoder, Buffer.from(part))
      } catch (error) {
        expect(error).toBeInstanceOf(HpackError)
      }
    }),
    { numRuns: 2000 },
  )
})

test('each byte that a value may have comes through the Huffman code', () => {
  for (let byte = 0x20; byte < 0x100; byte++) {
    if (byte === 0x7f) continue
    const fields = ['x', `a${String.fromCharCode(byte).repeat(3)}a`]
    expect(decode(new HpackDecoder(), encode(new HpackEncoder(), fields)).fields).toEqual(fields)
  }
})

test('a field that repeats takes one byte from the second block on', () => {
  const encoder = new HpackEncoder()
  const fields = [':method', 'GET', ':path', '/', 'user-agent', 'shop/1.0', 'x-tenant', 'blue']
  encode(encoder, fields)

  expect(encode(encoder, fields)).toHaveLength(fields.length / 2)
})

test('a value that changes each time is soon no longer indexed, and sweeps nothing out of the table', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder()
  const stable = ['user-agent', 'shop/1.0']
  for (let i = 0; i < 500; i++) {
    const fields = [':path', `/items/${i}`, 'x-request-id', `id-${i}-${'x'.repeat(30)}`, ...stable]
    expect(decode(decoder, encode(encoder, fields)).fields).toEqual(fields)
  }

  expect(encode(encoder, stable)).toHaveLength(1)
})

test('what is never to be indexed is told so each time, and stands in no table', () => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder()
  const fields = [
    ':path',
    '/',
    NEVER_INDEXED,
    'authorization,x-key',
    'Authorization',
    'Bearer a',
    'x-key',
    'b',
    'x',
    'c',
  ]
  const first = encode(encoder, fields)
  for (const block of [first, encode(encoder, fields)]) {
    expect(decode(decoder, block)).toEqual({
      fields: [':path', '/', 'authorization', 'Bearer a', 'x-key', 'b', 'x', 'c'],
      never: ['authorization', 'x-key'],
      isSound: true,
    })
  }
  // The same fields without the word take their full size at the first time: nothing had been kept of them.
  expect(encode(encoder, ['authorization', 'Bearer a']).length).toBeGreaterThan(4)
})

test.each([
  ['a line break in a value', ['x', 'a\r\nb']],
  ['NUL in a value', ['x', 'a\0']],
  ['a character beyond Latin-1', ['x', 'a\u20ac']],
  ['a blank in a name', ['x y', 'a']],
  ['an empty name', ['', 'a']],
  ['a pseudo-field of no standard', [':debug', 'a']],
])('%s is never written, and the tables of both ends still agree afterwards', (_name, bad) => {
  const encoder = new HpackEncoder()
  const decoder = new HpackDecoder()
  const good = ['x-a', '1', 'x-b', '2']
  decode(decoder, encode(encoder, good))
  expect(() => encode(encoder, ['x-c', '3', ...bad])).toThrow(Unsendable)

  for (const fields of [good, ['x-c', '3'], good])
    expect(decode(decoder, encode(encoder, fields)).fields).toEqual(fields)
})

test.each([
  ['an index beyond the table', 'be'],
  ['index 0', '80'],
  ['a string that is cut off', '4001610562'],
  ['an integer that is cut off', 'ff'],
  ['an integer beyond all bounds', 'ffffffffffffff'],
  ['a table size beyond the setting', '3fe21f'],
  ['a table size behind a field', '8220'],
  ['a Huffman code with EOS', '400161 84ffffffff'],
  ['padding of more than seven bits', '400161 8300ffff'],
  ['padding with zeros', '400161 811e'],
])('%s ends the connection', (_name, hex) => {
  expect(() => decode(new HpackDecoder(), Buffer.from(hex.replaceAll(' ', ''), 'hex'))).toThrow(HpackError)
})

test.each([
  ['an upper-case name', '400141 0161'],
  ['a blank in a name', '4003612062 0161'],
  ['an empty name', '4000 0161'],
  ['a control character in a value', '400161 03610062'],
  ['a line feed in a value', '400161 03610a62'],
  ['a blank before a value', '400161 022061'],
  ['a tab behind a value', '400161 026109'],
])('%s is judged once, and again from the table', (_name, hex) => {
  const decoder = new HpackDecoder()
  const block = Buffer.from(hex.replaceAll(' ', ''), 'hex')
  expect(decode(decoder, block).isSound).toBe(false)
  expect(decode(decoder, Buffer.from([0xbe])).isSound).toBe(false)
})
