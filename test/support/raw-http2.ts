// HTTP/2 by hand: frames and header blocks as an attacker would make them, without a library that would refuse to.
import type { Duplex } from 'node:stream'

const DATA = 0
const HEADERS = 1
const RST_STREAM = 3
const SETTINGS = 4
const GOAWAY = 7
const END_STREAM = 1
const END_HEADERS = 4
/** An indexed field of the static table: `:status: 200`. */
const STATUS_200 = 0x88

export type RawFields = readonly (readonly [name: string, value: string])[]

export interface RawRequest {
  readonly fields: RawFields
  /** Each a DATA frame; the last one ends the stream. None: the head ends it. */
  readonly body?: readonly string[]
}

/** ok: 200. refused: any other status, a reset of the stream, or the end of the connection. */
export type Outcome = 'ok' | 'refused'

function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head.writeUInt8(type, 3)
  head.writeUInt8(flags, 4)
  head.writeUInt32BE(stream, 5)
  return Buffer.concat([head, payload])
}

/** A prefixed integer of 7 bits (RFC 7541 section 5.1), then the bytes as they are. */
function literal(text: string): Buffer {
  const bytes = Buffer.from(text, 'latin1')
  if (bytes.length < 127) return Buffer.concat([Buffer.of(bytes.length), bytes])
  const size = [127]
  let left = bytes.length - 127
  for (; left >= 128; left >>= 7) size.push((left & 127) | 128)
  return Buffer.concat([Buffer.from([...size, left]), bytes])
}

/** Every field a literal without indexing. */
const blockOf = (fields: RawFields) =>
  Buffer.concat(fields.map(([name, value]) => Buffer.concat([Buffer.of(0), literal(name), literal(value)])))

/** One request on a connection of its own; the stream is left open for the caller to destroy. */
export function sendRaw(stream: Duplex, { fields, body = [] }: RawRequest): Promise<Outcome> {
  const frames = [
    Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
    frame(SETTINGS, 0, 0, Buffer.alloc(0)),
    frame(HEADERS, END_HEADERS | (body.length === 0 ? END_STREAM : 0), 1, blockOf(fields)),
    ...body.map((text, at) => frame(DATA, at === body.length - 1 ? END_STREAM : 0, 1, Buffer.from(text, 'latin1'))),
  ]
  stream.write(Buffer.concat(frames))
  return outcomeOf(stream)
}

function outcomeOf(stream: Duplex): Promise<Outcome> {
  return new Promise((resolve) => {
    let bytes: Buffer = Buffer.alloc(0)
    stream.on('data', (chunk: Buffer) => {
      bytes = Buffer.concat([bytes, chunk])
      while (bytes.length >= 9 && bytes.length >= 9 + bytes.readUIntBE(0, 3)) {
        const size = bytes.readUIntBE(0, 3)
        const [type, first] = [bytes[3], bytes[9]]
        bytes = bytes.subarray(9 + size)
        if (type === HEADERS) resolve(first === STATUS_200 ? 'ok' : 'refused')
        if (type === RST_STREAM || type === GOAWAY) resolve('refused')
      }
    })
    stream.on('close', () => resolve('refused')).on('end', () => resolve('refused'))
  })
}
