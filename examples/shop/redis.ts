// A Redis client as small as it can be: RESP 2, one connection, answers in the order of the commands.
import { connect, type Socket } from 'node:net'

export type Value = string | number | null | Value[]
export type Redis = (...command: string[]) => Promise<Value>

interface Waiting {
  readonly resolve: (value: Value) => void
  readonly reject: (error: Error) => void
}
interface Read {
  readonly value: Value | Error
  readonly next: number
}

/** A reply that begins at `from`, or undefined while it is not all there. */
export function readReply(buffer: Buffer, from: number): Read | undefined {
  const end = buffer.indexOf('\r\n', from)
  if (end === -1) return undefined
  const rest = buffer.toString('utf8', from + 1, end)
  const next = end + 2
  switch (String.fromCharCode(buffer[from] ?? 0)) {
    case '+':
      return { value: rest, next }
    case ':':
      return { value: Number(rest), next }
    case '-':
      return { value: new Error(rest), next }
    case '$':
      return readBulk(buffer, next, Number(rest))
    case '*':
      return readArray(buffer, next, Number(rest))
    default:
      return { value: new Error('not a reply of Redis'), next }
  }
}

function readBulk(buffer: Buffer, from: number, length: number): Read | undefined {
  if (length < 0) return { value: null, next: from }
  if (buffer.length < from + length + 2) return undefined
  return { value: buffer.toString('utf8', from, from + length), next: from + length + 2 }
}

function readArray(buffer: Buffer, from: number, length: number): Read | undefined {
  const items: Value[] = []
  let next = from
  for (let i = 0; i < length; i++) {
    const item = readReply(buffer, next)
    if (item === undefined) return undefined
    if (item.value instanceof Error) return { value: item.value, next: item.next }
    items.push(item.value)
    next = item.next
  }
  return { value: items, next }
}

/** Connects with the first command, and again after the connection was lost. */
export function createRedis(address: string): Redis {
  const [host = 'redis', port = '6379'] = address.split(':')
  let socket: Socket | undefined
  return (...command) =>
    new Promise((resolve, reject) => {
      if (socket === undefined || socket.destroyed) socket = open(host, Number(port))
      queueOf(socket).push({ resolve, reject })
      socket.write(
        `*${command.length}\r\n${command.map((part) => `$${Buffer.byteLength(part)}\r\n${part}\r\n`).join('')}`,
      )
    })
}

const queues = new WeakMap<Socket, Waiting[]>()

function queueOf(socket: Socket): Waiting[] {
  return queues.get(socket) ?? []
}

function open(host: string, port: number): Socket {
  const socket = connect(port, host)
  const waiting: Waiting[] = []
  queues.set(socket, waiting)
  let pending: Buffer = Buffer.alloc(0)
  socket.on('data', (chunk: Buffer) => {
    pending = Buffer.concat([pending, chunk])
    for (let reply = readReply(pending, 0); reply !== undefined; reply = readReply(pending, 0)) {
      pending = pending.subarray(reply.next)
      const { value } = reply
      if (value instanceof Error) waiting.shift()?.reject(value)
      else waiting.shift()?.resolve(value)
    }
  })
  const fail = (error: Error) => {
    for (const { reject } of waiting.splice(0)) reject(error)
  }
  socket.on('error', (error) => fail(error))
  socket.on('close', () => fail(new Error('Redis closed the connection')))
  return socket
}
