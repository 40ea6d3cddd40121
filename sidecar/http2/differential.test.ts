// Our codec against Node's. WEFT_FUZZ_SECONDS=600 makes it search longer; a failure prints its seed. What was found is kept in
// test/fixtures/http2-corpus: the frames that follow a client's preface and SETTINGS, one file each.
import { readdirSync, readFileSync } from 'node:fs'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Fields } from '#flow/stream.ts'
import { connectCodecClient, connectNodeClient, requestTo, startCodecServer, startNodeServer } from './testing.ts'
import { block, FramePeer, frame, get, getBlock, settings, uint32 } from './testing-frames.ts'

const SECONDS = Number(process.env['WEFT_FUZZ_SECONDS'] ?? 2)
const SEARCH = {
  numRuns: Number.MAX_SAFE_INTEGER,
  interruptAfterTimeLimit: SECONDS * 1000,
  markInterruptAsFailure: false,
}
const TIMEOUT_MS = SECONDS * 1000 + 30_000
const CORPUS = new URL('../../test/fixtures/http2-corpus/', import.meta.url)

// ---- what both read of the same bytes

const STREAM_CLOSED = 5

interface Reading {
  /** Of each stream: the head, or the number of the error with which it was reset. */
  readonly streams: Record<string, string>
  /** The number of the error in the GOAWAY; -1: the connection lives. */
  readonly goaway: number
}

/** A PING behind it tells that all was read; a connection that ends tells it, too. */
async function readingOf(port: number, bytes: Buffer): Promise<Reading> {
  await using peer = await FramePeer.connect(port)
  const marker = Buffer.from('\x01the end', 'latin1')
  peer.send(frame(4, 1, 0), bytes, frame(6, 0, 0, marker))
  const isOver = () => peer.frames.some(({ type, payload }) => type === 7 || (type === 6 && payload.equals(marker)))
  await peer.until(isOver).catch(() => {})
  // What is answered in the same turn, or the next, belongs to it.
  for (let turn = 0; turn < 10; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  const streams: Record<string, string> = {}
  for (const { type, streamId, payload } of peer.frames)
    if (type === 3) streams[streamId] = `reset ${payload.readUInt32BE(0)}`
  const goaway = peer.frames.find(({ type }) => type === 7)
  return { streams, goaway: goaway === undefined && !peer.isClosed ? -1 : (goaway?.payload.readUInt32BE(4) ?? -2) }
}

type Heads = string[]

interface Both {
  readonly ours: Reading & { readonly heads: Heads }
  readonly node: Reading & { readonly heads: Heads }
}

async function compare(bytes: Buffer): Promise<Both> {
  const heads: { ours: Heads; node: Heads } = { ours: [], node: [] }
  await using server = await startCodecServer()
  const ours = await readingOf(server.port, bytes)
  for (const request of server.requests)
    heads.ours.push(textOf(request.head.filter((_, at) => request.head[at - (at % 2)] !== ':never-indexed')))
  await using node = await startNodeServer((_stream, headers) => {
    const fields: Fields = []
    for (const [name, value] of Object.entries(headers))
      for (const one of [value].flat()) fields.push(name, String(one))
    // Where Host stands in for :authority we say so, Node does not.
    if (!fields.includes(':authority') && fields.includes('host')) fields[fields.indexOf('host')] = ':authority'
    heads.node.push(textOf(fields))
  })
  const theirs = await readingOf(node.port, bytes)
  return { ours: { ...ours, heads: heads.ours }, node: { ...theirs, heads: heads.node } }
}

/** Without order, which Node does not keep. */
function textOf(fields: Fields): string {
  const pairs: string[] = []
  for (let i = 0; i < fields.length; i += 2) pairs.push(`${fields[i]}: ${fields[i + 1]}`)
  return pairs.sort().join('\n')
}

/** Whatever we take for a request Node must take for the same one. */
function expectNoMore({ ours, node }: Both): void {
  // What comes on a stream that we have just reset we ignore; Node ends the connection and reads nothing behind it. RFC 9113
  // section 5.1 allows both.
  const isIgnored = node.goaway === STREAM_CLOSED && Object.keys(ours.streams).length > 0
  if (isIgnored) return
  for (const head of ours.heads) expect(node.heads).toContain(head)
}

// ---- frames that are nearly HTTP/2

const streamId = fc.constantFrom(0, 1, 1, 1, 3, 3, 5, 2, 7)
const bits = fc.constantFrom(0, 1, 4, 5, 5, 5, 8, 0x20, 0x25, 13)
const payload = fc.oneof(
  fc.constant(getBlock()),
  fc.constant(getBlock('x', 'y', 'content-length', '3')),
  fc.constant(block(requestTo('/a', 'POST'))),
  fc.constantFrom(
    uint32(0),
    uint32(1),
    uint32(8),
    uint32(0x7fff_ffff),
    Buffer.alloc(8),
    Buffer.alloc(5),
    Buffer.from('abc'),
  ),
  fc.uint8Array({ maxLength: 20 }).map((bytes) => Buffer.from(bytes)),
)
const anyFrame = fc.oneof(
  fc.constantFrom(
    get(1),
    get(3),
    get(5),
    frame(1, 4, 1, getBlock()),
    frame(1, 1, 1, getBlock()),
    frame(9, 4, 1),
    frame(0, 1, 1),
    settings([4, 0]),
  ),
  // Not GOAWAY (7): Node takes no request of a client behind its own one, which RFC 9113 section 6.8 does not ask for.
  fc.tuple(fc.constantFrom(0, 1, 2, 3, 4, 5, 6, 8, 9, 10), bits, streamId, payload).map((parts) => frame(...parts)),
)
const frames = fc.array(anyFrame, { minLength: 1, maxLength: 6 }).map((list) => Buffer.concat(list))

test('frames of any kind never bring the codec down, and what it takes for a request Node does, too', {
  timeout: TIMEOUT_MS,
}, async () => {
  await fc.assert(
    fc.asyncProperty(frames, async (bytes) => expectNoMore(await compare(bytes))),
    SEARCH,
  )
})

test('the same frames mean the same however they are cut', { timeout: TIMEOUT_MS }, async () => {
  const cuts = fc.array(fc.nat(200), { maxLength: 8 })
  await using server = await startCodecServer()
  const property = fc.asyncProperty(frames, cuts, async (bytes, where) => {
    const whole = await readingOf(server.port, bytes)
    await using peer = await FramePeer.connect(server.port)
    let from = 0
    for (const at of [...where.filter((cut) => cut < bytes.length).sort((a, b) => a - b), bytes.length]) {
      peer.send(bytes.subarray(from, at))
      from = at
      await new Promise<void>((resolve) => setImmediate(resolve))
    }
    const marker = Buffer.from('\x02the end', 'latin1')
    peer.send(frame(6, 0, 0, marker))
    await peer
      .until(() => peer.frames.some(({ type, payload: seen }) => type === 7 || (type === 6 && seen.equals(marker))))
      .catch(() => {})
    const goaway = peer.frames.find(({ type }) => type === 7)
    expect(goaway?.payload.readUInt32BE(4) ?? -1).toBe(whole.goaway)
  })
  await fc.assert(property, SEARCH)
})

// ---- messages through both codecs

const fieldName = fc
  .string({ unit: fc.constantFrom(...'abcdexyz0189-_.'), minLength: 1, maxLength: 20 })
  .map((name) => `x-${name}`)
const fieldValue = fc.string({
  unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
  maxLength: 60,
})
const fields = fc.uniqueArray(fc.tuple(fieldName, fieldValue), { selector: ([name]) => name, maxLength: 12 })

test('requests and answers with any fields and bodies come through between our codec and that of Node, both ways', {
  timeout: TIMEOUT_MS,
}, async () => {
  await using node = await startNodeServer((stream, headers) => {
    const back = Object.entries(headers).filter(([name]) => name.startsWith('x-'))
    stream.respond({ ':status': 200, ...Object.fromEntries(back) })
    stream.pipe(stream)
  })
  await using client = await connectCodecClient(node.port)
  await using server = await startCodecServer({
    answer({ stream, head, body }) {
      stream.sendHead([':status', '200', ...head.filter((_, at) => head[at - (at % 2)]?.startsWith('x-'))], false)
      const bytes = Buffer.from(body, 'latin1')
      stream.sendData(bytes, 0, bytes.length, true)
    },
  })
  await using nodeClient = connectNodeClient(server.port)
  const property = fc.asyncProperty(fields, fc.string({ maxLength: 300 }), async (pairs, text) => {
    const body = Buffer.from(text, 'latin1')
    const half = client.send(requestTo('/', 'POST', ...pairs.flat()), false)
    half.stream.sendData(body, 0, body.length, true)
    await half.ended()
    expect(half.body).toBe(body.toString('latin1'))
    const seen = half.head.filter((_, at) => half.head[at - (at % 2)]?.startsWith('x-'))
    expect(textOf(seen)).toBe(textOf(pairs.flat()))

    const answer = await new Promise<Record<string, unknown>>((resolve, reject) => {
      const stream = nodeClient.request({ ':method': 'POST', ':path': '/', ...Object.fromEntries(pairs) }, body)
      stream
        .on('response', (headers) => resolve(headers))
        .on('error', reject)
        .resume()
    })
    for (const [name, value] of pairs) expect(answer[name]).toBe(value)
  })
  await fc.assert(property, SEARCH)
})

// ---- the corpus

/** Node takes no request of a client that has said GOAWAY; RFC 9113 section 6.8 binds the other side only. */
const BY_DESIGN = ['goaway-then-request.frames']
const VERDICTS: Record<string, { ours: string; node: string }> = JSON.parse(
  readFileSync(new URL('verdicts.json', CORPUS), 'utf8'),
)
const files = readdirSync(CORPUS).filter((file) => file.endsWith('.frames'))
const verdictOf = ({ goaway, streams, heads }: Both['ours']) =>
  [
    `${heads.length} requests`,
    ...Object.entries(streams).map(([id, what]) => `${id} ${what}`),
    ...(goaway === -1 ? [] : [`goaway ${goaway}`]),
  ].join(', ')

test('every file of the corpus has its verdicts', () => {
  expect(files.toSorted()).toEqual(Object.keys(VERDICTS).toSorted())
})

test.each(files)('corpus: %s', async (file) => {
  const both = await compare(readFileSync(new URL(file, CORPUS)))

  if (!BY_DESIGN.includes(file)) expectNoMore(both)
  expect({ ours: verdictOf(both.ours), node: verdictOf(both.node) }).toEqual(VERDICTS[file])
})
