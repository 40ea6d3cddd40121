// The server side of a WebSocket (RFC 6455) as small as it can be: text of one frame below 64 KiB, ping, close.
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'

const TEXT = 1
const CLOSE = 8
const PING = 9
const PONG = 10

export interface Client {
  send(text: string): void
  onText: (text: string) => void
  onClose: () => void
}

interface Frame {
  readonly opcode: number
  readonly payload: Buffer
  readonly next: number
}

/** Answers the upgrade, or refuses it. */
export function acceptClient(request: IncomingMessage, socket: Duplex, head: Buffer): Client | undefined {
  const key = request.headers['sec-websocket-key']
  if (request.headers.upgrade?.toLowerCase() !== 'websocket' || key === undefined) {
    socket.end('HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n')
    return undefined
  }
  // Section 4.2.2: this constant, and SHA-1, prove only that the server speaks the protocol.
  const accept = createHash('sha1').update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: ${accept}\r\n\r\n`,
  )
  const client: Client = {
    send: (text) => socket.write(frame(TEXT, Buffer.from(text))),
    onText: () => undefined,
    onClose: () => undefined,
  }
  readFrames(socket, client, head)
  return client
}

function readFrames(socket: Duplex, client: Client, head: Buffer): void {
  let pending = head
  const onBytes = (bytes: Buffer) => {
    pending = Buffer.concat([pending, bytes])
    for (let next = parseFrame(pending); next !== undefined; next = parseFrame(pending)) {
      pending = pending.subarray(next.next)
      if (next.opcode === TEXT) client.onText(next.payload.toString())
      if (next.opcode === PING) socket.write(frame(PONG, next.payload))
      if (next.opcode === CLOSE) socket.end(frame(CLOSE, next.payload))
    }
  }
  socket.on('data', onBytes)
  socket.on('error', () => socket.destroy())
  socket.on('end', () => socket.end())
  socket.on('close', () => client.onClose())
  onBytes(Buffer.alloc(0))
}

/** A frame of a client, which is always masked (section 5.3), or undefined while it is not all there. */
export function parseFrame(bytes: Buffer): Frame | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes.readUInt8(1) & 0x7f
  const lengthEnd = short === 126 ? 4 : 2
  if (bytes.length < lengthEnd + 4) return undefined
  const length = short === 126 ? bytes.readUInt16BE(2) : short
  const next = lengthEnd + 4 + length
  if (bytes.length < next) return undefined
  const mask = bytes.subarray(lengthEnd, lengthEnd + 4)
  const payload = Buffer.from(bytes.subarray(lengthEnd + 4, next))
  for (let i = 0; i < payload.length; i++) payload.writeUInt8(payload.readUInt8(i) ^ mask.readUInt8(i % 4), i)
  return { opcode: bytes.readUInt8(0) & 0x0f, payload, next }
}

function frame(opcode: number, payload: Buffer): Buffer {
  const head =
    payload.length < 126
      ? Buffer.from([0x80 | opcode, payload.length])
      : Buffer.from([0x80 | opcode, 126, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([head, payload])
}
