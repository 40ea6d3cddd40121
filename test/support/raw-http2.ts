// HTTP/2 by hand: frames and header blocks as an attacker would make them, without a library that would refuse to.
import type { Duplex } from 'node:stream'
import { encodeHuffman } from '../../sidecar/http2/hpack/huffman.ts'

const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const GOAWAY = 7
const CONTINUATION = 9
const END_STREAM = 1
const END_HEADERS = 4
const PADDED = 8
const HAS_PRIORITY = 0x20
/** An indexed field of the static table: `:status: 200`. */
const STATUS_200 = 0x88

export type RawFields = readonly (readonly [name: string, value: string])[]

export interface RawRequest {
  readonly fields: RawFields
  /** Each a DATA frame; the last one ends the stream unless trailers do. None: the head ends it. */
  readonly body?: readonly string[]
  readonly trailers?: RawFields
}

/** The ways in which the same message may be written; the default is the plainest. */
export interface Writing {
  /** Of each field in turn, beginning anew at the end. */
  readonly fields?: readonly { readonly kind: 'plain' | 'indexed' | 'never'; readonly isHuffman: boolean }[]
  /** Where the header block is cut into CONTINUATION frames. */
  readonly cuts?: readonly number[]
  /** Bytes of padding of every frame that may have them; -1: none. */
  readonly padding?: number
  readonly hasPriority?: boolean
}

/** ok: 200. refused: any other status, a reset of the stream, or the end of the connection. */
export type Outcome = 'ok' | 'refused'

const OPENING = Buffer.concat([Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'), frame(SETTINGS, 0, 0, Buffer.alloc(0))])

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A prefixed integer (RFC 7541 section 5.1). */
function integer(value: number, pattern: number, prefixBits: number): Buffer {
  const most = 2 ** prefixBits - 1
  if (value < most) return Buffer.of(pattern | value)
  const bytes = [pattern | most]
  let left = value - most
  for (; left >= 128; left >>= 7) bytes.push((left & 127) | 128)
  return Buffer.from([...bytes, left])
}

function text(latin1: string, isHuffman: boolean): Buffer {
  const bytes = Buffer.from(latin1, 'latin1')
  if (!isHuffman) return Buffer.concat([integer(bytes.length, 0, 7), bytes])
  const into = Buffer.alloc(4 * bytes.length)
  const coded = into.subarray(0, encodeHuffman(latin1, into, 0))
  return Buffer.concat([integer(coded.length, 0x80, 7), coded])
}

const PATTERNS = { plain: 0, indexed: 0x40, never: 0x10 } as const
const PLAINEST = [{ kind: 'plain', isHuffman: false }] as const

function blockOf(fields: RawFields, writing: Writing): Buffer {
  const ways = writing.fields?.length ? writing.fields : PLAINEST
  const parts = fields.map(([name, value], at) => {
    const { kind, isHuffman } = ways[at % ways.length] ?? PLAINEST[0]
    return Buffer.concat([Buffer.of(PATTERNS[kind]), text(name, isHuffman), text(value, isHuffman)])
  })
  return Buffer.concat(parts)
}

function padded(payload: Buffer, padding: number): { flag: number; payload: Buffer } {
  if (padding < 0) return { flag: 0, payload }
  return { flag: PADDED, payload: Buffer.concat([Buffer.of(padding), payload, Buffer.alloc(padding)]) }
}

function headOf(fields: RawFields, end: boolean, stream: number, writing: Writing): Buffer {
  const block = blockOf(fields, writing)
  const cuts = [...new Set(writing.cuts ?? [])].map((cut) => cut % (block.length + 1)).sort((a, b) => a - b)
  const pieces = [...cuts, block.length].map((to, at) => block.subarray(cuts[at - 1] ?? 0, to))
  const [first = block, ...rest] = pieces
  const priority = writing.hasPriority === true ? Buffer.of(0, 0, 0, 0, 15) : Buffer.alloc(0)
  const { flag, payload } = padded(Buffer.concat([priority, first]), writing.padding ?? -1)
  const flags = flag | (end ? END_STREAM : 0) | (priority.length > 0 ? HAS_PRIORITY : 0)
  return Buffer.concat([
    frame(HEADERS, flags | (rest.length === 0 ? END_HEADERS : 0), stream, payload),
    ...rest.map((piece, at) => frame(CONTINUATION, at === rest.length - 1 ? END_HEADERS : 0, stream, piece)),
  ])
}

/** One request, without what opens a connection. */
export function framesOf({ fields, body = [], trailers }: RawRequest, stream = 1, writing: Writing = {}): Buffer {
  const isLast = (at: number) => trailers === undefined && at === body.length - 1
  return Buffer.concat([
    headOf(fields, body.length === 0 && trailers === undefined, stream, writing),
    ...body.map((piece, at) => {
      const { flag, payload } = padded(Buffer.from(piece, 'latin1'), writing.padding ?? -1)
      return frame(DATA, flag | (isLast(at) ? END_STREAM : 0), stream, payload)
    }),
    ...(trailers === undefined ? [] : [headOf(trailers, true, stream, writing)]),
  ])
}

/** One request on a connection of its own; the stream is left open for the caller to destroy. */
export async function sendRaw(stream: Duplex, request: RawRequest, writing: Writing = {}): Promise<Outcome> {
  const outcomes = await sendFrames(stream, framesOf(request, 1, writing), [1])
  return outcomes.get(1) ?? 'refused'
}

/** Resolves once each of these streams was answered or reset, or the connection is over. */
export function sendFrames(
  stream: Duplex,
  frames: Buffer,
  awaited: readonly number[],
): Promise<ReadonlyMap<number, Outcome>> {
  const outcomes = new Map<number, Outcome>()
  const { promise, resolve } = Promise.withResolvers<ReadonlyMap<number, Outcome>>()
  let bytes: Buffer = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    bytes = Buffer.concat([bytes, chunk])
    while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
      const [type, id, first] = [bytes[3], bytes.readUInt32BE(5), bytes[9]]
      bytes = bytes.subarray(9 + bytes.readUIntBE(0, 3))
      if (type === GOAWAY) resolve(outcomes)
      if (type === RST_STREAM && !outcomes.has(id)) outcomes.set(id, 'refused')
      if (type === HEADERS && !outcomes.has(id)) outcomes.set(id, first === STATUS_200 ? 'ok' : 'refused')
    }
    if (awaited.every((id) => outcomes.has(id))) resolve(outcomes)
  })
  stream.on('close', () => resolve(outcomes)).on('end', () => resolve(outcomes))
  stream.write(Buffer.concat([OPENING, frames]))
  return promise
}
