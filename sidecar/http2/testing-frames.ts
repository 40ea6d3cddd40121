// For tests: a peer that speaks frames of its own making, well or ill formed.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { Fields } from '#flow/stream.ts'
import { HpackDecoder } from './hpack/decode.ts'
import { blockBound, HpackEncoder } from './hpack/encode.ts'
import { PREFACE } from './protocol.ts'
import { Section } from './section.ts'

interface SeenFrame {
  readonly type: number
  readonly flags: number
  readonly streamId: number
  readonly payload: Buffer
}

export function frame(type: number, flags: number, streamId: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9)
  head.writeUIntBE(payload.length, 0, 3)
  head[3] = type
  head[4] = flags
  head.writeUInt32BE(streamId, 5)
  return Buffer.concat([head, payload])
}

export function uint32(...values: number[]): Buffer {
  const bytes = Buffer.alloc(4 * values.length)
  for (const [index, value] of values.entries()) bytes.writeUInt32BE(value >>> 0, 4 * index)
  return bytes
}

export function settings(...pairs: [number, number][]): Buffer {
  const payload = Buffer.alloc(6 * pairs.length)
  for (const [index, [id, value]] of pairs.entries()) {
    payload.writeUInt16BE(id, 6 * index)
    payload.writeUInt32BE(value, 6 * index + 2)
  }
  return frame(4, 0, 0, payload)
}

/** A block that refers to no other one: an encoder of its own knows only what it adds, which is newest to the reader, too. */
export function block(fields: Fields): Buffer {
  const encoder = new HpackEncoder()
  const into = Buffer.alloc(blockBound(fields))
  return into.subarray(0, encoder.encode(fields, into, 0))
}

export const getBlock = (...more: string[]) =>
  block([':method', 'GET', ':scheme', 'http', ':authority', 'shop', ':path', '/', ...more])

/** END_STREAM and END_HEADERS. */
export const get = (streamId: number) => frame(1, 5, streamId, getBlock())

export class FramePeer implements AsyncDisposable {
  readonly socket: Socket
  readonly frames: SeenFrame[] = []
  isClosed = false
  readonly #decoder = new HpackDecoder()
  #rest = Buffer.alloc(0)
  readonly #waiting = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('error', () => {})
    socket.on('data', (chunk: Buffer) => this.#read(chunk))
    socket.on('close', () => {
      this.isClosed = true
      this.#tell()
    })
  }

  /** A client of that port, past the preface unless told otherwise. */
  static async connect(port: number, opening: Buffer = Buffer.concat([PREFACE, settings()])): Promise<FramePeer> {
    const socket = connect({ port, host: '127.0.0.1', noDelay: true })
    await once(socket, 'connect')
    const peer = new FramePeer(socket)
    peer.send(opening)
    return peer
  }

  send(...parts: Buffer[]): this {
    this.socket.write(Buffer.concat(parts))
    return this
  }

  /** The first frame that fits, also one that has come already. */
  async frame(type: number, streamId?: number): Promise<SeenFrame> {
    const find = () =>
      this.frames.find((seen) => seen.type === type && (streamId === undefined || seen.streamId === streamId))
    await this.until(() => find() !== undefined)
    return find() as SeenFrame
  }

  async until(holds: () => boolean): Promise<void> {
    while (!holds()) {
      if (this.isClosed) throw new Error(`closed after frames of the types ${this.frames.map(({ type }) => type)}`)
      await new Promise<void>((resolve) => this.#waiting.add(resolve))
    }
  }

  async untilClosed(): Promise<void> {
    while (!this.isClosed) await new Promise<void>((resolve) => this.#waiting.add(resolve))
  }

  /** The number of the error in the GOAWAY. */
  async goaway(): Promise<number> {
    const { payload } = await this.frame(7)
    return payload.readUInt32BE(4)
  }

  /** The fields of a response; each block must be asked for once, in its order. */
  fieldsOf({ payload }: SeenFrame): Fields {
    const section = new Section()
    section.begin('response')
    this.#decoder.decode(payload, 0, payload.length, section)
    section.finish()
    return section.fields
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk])
    while (this.#rest.length >= 9) {
      const end = 9 + this.#rest.readUIntBE(0, 3)
      if (this.#rest.length < end) break
      const [type = 0, flags = 0] = this.#rest.subarray(3)
      this.frames.push({ type, flags, streamId: this.#rest.readUInt32BE(5), payload: this.#rest.subarray(9, end) })
      this.#rest = this.#rest.subarray(end)
    }
    this.#tell()
  }

  #tell(): void {
    const waiting = [...this.#waiting]
    this.#waiting.clear()
    for (const resolve of waiting) resolve()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    await this.untilClosed()
  }
}
