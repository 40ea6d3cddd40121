// Messages of an attacker, made up: on every way to every kind of application what arrives is one request as it was sent, or none. The
// search is the same each time; WEFT_FUZZ_SECONDS=600 makes it a new one, and as long. What is found is printed as a file to keep.
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { mutatedRequests } from '../support/nearly-http1.ts'
import {
  crossOnce,
  expectNoFaults,
  expectOneOrNone,
  KINDS,
  meaningOf,
  notAsSaid,
  sendHttp1,
  setTarget,
  type Target,
  WAYS,
} from './crossing.ts'

const SECONDS = Number(process.env['WEFT_FUZZ_SECONDS'] ?? 0)
const SEARCH =
  SECONDS === 0
    ? { numRuns: 40, seed: 20_261_127 }
    : { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: SECONDS * 1000, markInterruptAsFailure: false }
const timeout = SECONDS * 1000 + 120_000

const SMUGGLED = 'GET /smuggled HTTP/1.1\r\nHost: catalog\r\n\r\n'
const anything = fc.string({
  unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  maxLength: 24,
})
const value = fc.oneof(
  anything,
  fc.constantFrom(
    '\r\n',
    SMUGGLED,
    'chunked',
    'trailers',
    '0',
    '4',
    'catalog',
    '/',
    'POST',
    '100-continue',
    'close',
    '',
  ),
)
const name = fc.oneof(
  anything,
  fc.constantFrom(
    ...['content-length', 'content_length', 'transfer-encoding', 'host', 'connection', 'te', 'cookie', 'trailer'],
    ...['expect', 'upgrade', 'x', 'X', 'x-weft-original', ':path', ':authority', 'http2-settings'],
  ),
)
const PSEUDO = [
  [':method', 'POST'],
  [':scheme', 'http'],
  [':authority', 'catalog'],
  [':path', '/'],
] as const
const changed = fc.option(fc.tuple(fc.constantFrom(...PSEUDO.map(([key]) => key)), value), { nil: null })
const message = fc
  .record({
    change: changed,
    more: fc.array(fc.tuple(name, value), { maxLength: 3 }),
    body: fc.array(fc.constantFrom('', 'body', SMUGGLED, `0\r\n\r\n${SMUGGLED}`), { maxLength: 3 }),
    trailers: fc.option(fc.array(fc.tuple(name, value), { maxLength: 2 }), { nil: undefined, freq: 4 }),
  })
  .map(({ change, more, body, trailers }) => ({
    fields: [...PSEUDO.map((field) => (field[0] === change?.[0] ? change : field)), ...more],
    body,
    ...(trailers === undefined ? {} : { trailers }),
  }))
const writing = fc.record({
  fields: fc.array(fc.record({ kind: fc.constantFrom('plain', 'indexed', 'never'), isHuffman: fc.boolean() }), {
    maxLength: 4,
  }),
  cuts: fc.array(fc.nat(300), { maxLength: 4 }),
  padding: fc.constantFrom(-1, -1, 0, 1, 255),
  hasPriority: fc.boolean(),
})

describe.each(KINDS)('to an application of %s', (kind) => {
  let target: Target
  setTarget(kind, timeout, (made) => {
    target = made
  })

  test.each(WAYS['HTTP/2'])('whatever a message of HTTP/2 is made of, %s', { timeout }, async (_way, dial) => {
    const property = fc.asyncProperty(message, writing, async (said, how) => {
      const outcome = await crossOnce(target, dial, said, how)
      expectOneOrNone(target, said, outcome)
      await expectNoFaults(target, JSON.stringify(said))
    })
    await fc.assert(property, SEARCH)
  })

  test.each(WAYS['HTTP/1.1'])('whatever bytes are nearly HTTP/1.1, %s', { timeout }, async (_way, dial) => {
    const property = fc.asyncProperty(mutatedRequests, async (text) => {
      const bytes = Buffer.from(text, 'latin1')
      const meaning = await meaningOf(bytes, kind)
      await sendHttp1(target, dial, bytes, meaning.isCut)

      expect(notAsSaid(target, meaning), `keep it in test/fixtures/http1-corpus: ${JSON.stringify(text)}`).toEqual([])
      await expectNoFaults(target, JSON.stringify(text))
    })
    await fc.assert(property, SEARCH)
  })
})
