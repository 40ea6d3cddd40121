// Our HPACK against that of nghttp2, in Node: the same blocks on one table each. WEFT_FUZZ_SECONDS=600 makes the search new and long; a failure
// prints the blocks, which are kept as a file of test/fixtures/hpack-corpus.
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { createServer, type ServerHttp2Stream } from 'node:http2'
import type { AddressInfo } from 'node:net'
import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Fields } from '#flow/stream.ts'
import { HpackDecoder, HpackError } from './hpack/decode.ts'
import { encodeHuffman } from './hpack/huffman.ts'
import { FramePeer, frame } from './testing-frames.ts'

const SECONDS = Number(process.env['WEFT_FUZZ_SECONDS'] ?? 0)
const SEARCH =
  SECONDS === 0
    ? { numRuns: 300, seed: 20_261_127 }
    : { numRuns: Number.MAX_SAFE_INTEGER, interruptAfterTimeLimit: SECONDS * 1000, markInterruptAsFailure: false }
const timeout = SECONDS * 1000 + 60_000
const CORPUS = new URL('../../test/fixtures/hpack-corpus/', import.meta.url)

/** Of each block the fields, up to the first that cannot be read; `isBroken`: there was one. */
interface Reading {
  readonly sections: Fields[]
  readonly isBroken: boolean
}

function readByUs(blocks: readonly Buffer[]): Reading & { readonly never: string[] } {
  const decoder = new HpackDecoder()
  const sections: Fields[] = []
  const never: string[] = []
  try {
    for (const block of blocks) {
      const fields: Fields = []
      decoder.decode(block, 0, block.length, {
        field(name, value, _isSound, isNeverIndexed) {
          fields.push(name, value)
          if (isNeverIndexed) never.push(name)
        },
      })
      sections.push(fields)
    }
  } catch (error) {
    if (!(error instanceof HpackError)) throw error
    return { sections, never, isBroken: true }
  }
  return { sections, never, isBroken: false }
}

/** What makes a request of a block; behind the changes of the table's size, which stand first. `:authority` is a literal. */
const REQUEST = Buffer.from('828684010161', 'hex')
const server = createServer()
const heads = new Map<number | undefined, Map<number, Fields>>()
beforeAll(async () => {
  server.on('stream', (stream: ServerHttp2Stream, _headers, _flags, raw: Fields) => {
    const port = stream.session?.socket.remotePort
    const ofPort = heads.get(port) ?? new Map<number, Fields>()
    heads.set(port, ofPort.set(stream.id ?? 0, raw))
    stream.on('error', () => {})
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  server.on('session', (session) => session.on('error', () => {}))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
})
afterAll(() => {
  server.close()
})

const COMPRESSION_ERROR = 9

/** null for a section: nghttp2 read it and did not take it for a request. */
async function readByNode(blocks: readonly Buffer[]): Promise<{ sections: (Fields | null)[]; isBroken: boolean }> {
  await using peer = await FramePeer.connect((server.address() as AddressInfo).port)
  const { localPort } = peer.socket
  const marker = Buffer.from('the end.', 'latin1')
  peer.send(frame(4, 1, 0), ...blocks.map((block, at) => frame(1, 5, 2 * at + 1, block)), frame(6, 0, 0, marker))
  await peer
    .until(() => peer.frames.some(({ type, flags }) => type === 7 || (type === 6 && flags === 1)))
    .catch(() => {})
  const goaway = peer.frames.find(({ type }) => type === 7)
  const read = heads.get(localPort)
  heads.delete(localPort)
  const sections = blocks.map((_, at) => read?.get(2 * at + 1) ?? null)
  return { sections, isBroken: goaway?.payload.readUInt32BE(4) === COMPRESSION_ERROR }
}

/** Returns how many sections both have read. */
async function compare(blocks: readonly Buffer[]): Promise<number> {
  const [ours, node] = [readByUs(blocks), await readByNode(blocks)]
  const keep = `blocks: ${JSON.stringify(blocks.map((block) => block.toString('hex')))}`
  expect(node.isBroken, keep).toBe(ours.isBroken)
  let both = 0
  for (const [at, section] of ours.sections.entries()) {
    if (node.sections[at] === null) continue
    expect(node.sections[at], keep).toEqual(section)
    both++
  }
  return both
}

const NOTHING = Buffer.alloc(0)
/** Leaves three entries in the table, so that most indices name one. */
const FIRST = Buffer.concat([REQUEST, ...['a', 'b', 'c'].map((letter) => Buffer.from(`@\x03x-${letter}\x01${letter}`))])

// ---- blocks, well and ill formed

function integer(value: number, pattern: number, bits: number): Buffer {
  const most = 2 ** bits - 1
  if (value < most) return Buffer.of(pattern | value)
  const bytes = [pattern | most]
  let left = value - most
  for (; left >= 128; left >>= 7) bytes.push((left & 127) | 128)
  return Buffer.from([...bytes, left])
}

const string = fc
  .tuple(fc.string({ unit: fc.constantFrom(...'abcxyz-019'), minLength: 1, maxLength: 40 }), fc.boolean())
  .map(([text, isHuffman]) => {
    if (!isHuffman) return Buffer.concat([integer(text.length, 0, 7), Buffer.from(text)])
    const into = Buffer.alloc(4 * text.length)
    const coded = into.subarray(0, encodeHuffman(text, into, 0))
    return Buffer.concat([integer(coded.length, 0x80, 7), coded])
  })
/** Of names without a meaning for HTTP, and of what the table may hold by then. */
const index = fc.constantFrom(...Array<number>(12).fill(0), 19, 24, 33, 44, 58, 62, 62, 63, 63, 64, 64)
const literal = fc
  .tuple(fc.constantFrom([0x40, 6], [0x40, 6], [0, 4], [0x10, 4]), index, string, string)
  .map(([[pattern = 0, bits = 4], at, name, value]) =>
    Buffer.concat([integer(at, pattern, bits), ...(at === 0 ? [name] : []), value]),
  )
const indexed = fc.constantFrom(16, 16, 62, 62, 62, 62, 63, 63, 64, 64).map((at) => integer(at, 0x80, 7))
/** Behind the last field of all: Node tells of no request of a connection that ends in the same breath. */
const broken = fc.oneof(
  fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc.constantFrom(65, 80, 200).map((at) => integer(at, 0x80, 7)),
  fc.constantFrom(0, 4096).map((size) => integer(size, 0x20, 5)),
)
const update = fc
  .constantFrom(0, 40, 64, 100, 200, ...Array<number>(20).fill(4096))
  .map((size) => integer(size, 0x20, 5))
const block = fc
  .record({
    updates: fc.array(update, { maxLength: 2 }),
    fields: fc.array(fc.oneof({ weight: 8, arbitrary: literal }, { weight: 4, arbitrary: indexed }), { maxLength: 6 }),
  })
  .map(({ updates, fields }) => Buffer.concat([...updates, REQUEST, ...fields]))
/** Updates that shrink the table may break them, too. */
const blocks = fc
  .tuple(fc.array(block, { minLength: 1, maxLength: 6 }), fc.option(broken, { nil: NOTHING, freq: 1 }))
  .map(([list, end]) => [FIRST, ...list.slice(0, -1), Buffer.concat([list.at(-1) ?? NOTHING, end])])

test('blocks of any kind are read alike, and what one cannot read neither can', { timeout }, async () => {
  let both = 0
  const property = fc.asyncProperty(blocks, async (list) => {
    both += await compare(list)
  })
  await fc.assert(property, SEARCH)

  expect(both).toBeGreaterThan(200)
})

// ---- the corpus

interface Kept {
  /** In hexadecimal, as they follow one another on a connection. */
  readonly blocks: readonly string[]
  /** Of each block that is read, the fields behind the four of every request. */
  readonly reads: readonly Fields[]
  readonly never: readonly string[]
  readonly isBroken: boolean
}

test.each(readdirSync(CORPUS))('corpus: %s', async (file) => {
  const kept: Kept = JSON.parse(readFileSync(new URL(file, CORPUS), 'utf8'))
  const blocks = kept.blocks.map((hex) => Buffer.from(hex.replaceAll(' ', ''), 'hex'))
  const { sections, never, isBroken } = readByUs(blocks)

  expect({ reads: sections.map((fields) => fields.slice(8)), never, isBroken }).toEqual({
    reads: kept.reads,
    never: kept.never,
    isBroken: kept.isBroken,
  })
  await compare(blocks)
})
