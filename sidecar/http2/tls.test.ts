// The codec on a TLSSocket: records that cut frames anywhere, ends of one half, and resets of the connection below.
import { once } from 'node:events'
import { type AddressInfo, connect as connectTcp, type Socket } from 'node:net'
import { connect, createServer, type TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import { Heard } from '#flow/heard.fixture.ts'
import { resetSocket } from '#flow/reset.ts'
import type { HttpStream } from '#flow/stream.ts'
import { connectHttp2 } from './client.ts'
import { PREFACE } from './protocol.ts'
import { serveHttp2 } from './server.ts'
import { echo, echoAsItComes, type Half, requestTo } from './testing.ts'
import { block, FramePeer, frame, get, settings } from './testing-frames.ts'

// A shared key spares the test its certificates; what is under test is the codec on a TLSSocket.
const KEY = Buffer.alloc(16, 7)
const PSK = { ciphers: 'PSK-AES128-GCM-SHA256', maxVersion: 'TLSv1.2', minVersion: 'TLSv1.2' } as const

function heardOn(open: (events: Heard) => HttpStream): Half {
  const heard = new Heard()
  return Object.assign(heard, { stream: open(heard) })
}

interface Served extends AsyncDisposable {
  readonly requests: Half[]
  /** The socket of the first client, above TLS and below. */
  readonly socket: TLSSocket
  readonly below: Socket
  closed: number
}

/** Serves the codec over TLS to one client. */
async function serve(answer: (request: Half) => void): Promise<Served> {
  const requests: Half[] = []
  const server = createServer({ ...PSK, pskCallback: () => KEY, allowHalfOpen: true }, (socket) => {
    serveHttp2(socket, null, {
      accept(stream) {
        const half = heardOn(() => stream)
        stream.events = half
        requests.push(half)
        answer(half)
      },
      onRefused() {},
      onClose() {
        served.closed++
      },
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const below = connectTcp({ port: (server.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true })
  const pskCallback = () => ({ psk: KEY, identity: 'test' })
  const socket = connect({ ...PSK, socket: below, pskCallback, checkServerIdentity: () => undefined })
  socket.on('error', () => {})
  await once(socket, 'secureConnect')
  const served: Served = {
    requests,
    socket,
    below,
    closed: 0,
    async [Symbol.asyncDispose]() {
      socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
  return served
}

const answerWhole = (half: Half) => void half.ended().then(() => (half.reset === null ? echo(half) : undefined))
/** Each write is a record of its own. */
const recordOf = (socket: TLSSocket, bytes: Buffer) =>
  new Promise<void>((resolve) => socket.write(bytes, () => resolve()))

test.each([1, 2, 5, 9, 13])('frames that are cut into records of %i bytes mean the same', async (size) => {
  await using served = await serve(answerWhole)
  const peer = new FramePeer(served.socket)
  const head = block(requestTo('/cut', 'POST', 'content-length', '5', 'x-long', 'v'.repeat(40)))
  const bytes = Buffer.concat([
    PREFACE,
    settings(),
    frame(4, 1, 0),
    frame(1, 0, 1, head.subarray(0, 7)),
    frame(9, 4, 1, head.subarray(7)),
    frame(0, 8, 1, Buffer.from('\x03abc\0\0\0')),
    frame(0, 9, 1, Buffer.from('\x01de\0')),
    get(3),
  ])
  for (let at = 0; at < bytes.length; at += size) await recordOf(served.socket, bytes.subarray(at, at + size))
  const [first, second] = [await peer.frame(0, 1), await peer.frame(0, 3)]

  expect([String(first.payload), String(second.payload)]).toEqual(['POST /cut abcde', 'GET / '])
})

test('bodies of several windows go both ways at once, whole', async () => {
  await using served = await serve(echoAsItComes)
  const connection = connectHttp2(served.socket)
  const sent = Buffer.alloc(1_500_000, 'abcdefg')
  const halves = [1, 2, 3].map(() => {
    const half = heardOn((events) => connection.open(events))
    half.stream.sendHead(requestTo('/', 'POST', 'content-length', String(sent.length)), false)
    half.stream.sendData(sent, 0, sent.length, true)
    return half
  })
  for (const half of halves) await half.ended()

  expect(halves.map(({ body }) => body === sent.toString('latin1'))).toEqual([true, true, true])
})

test('a client that ends its half in the middle of a request is gone: the request is cut off and never looks whole', async () => {
  await using served = await serve(() => {})
  const peer = new FramePeer(served.socket)
  peer.send(
    PREFACE,
    settings(),
    frame(4, 1, 0),
    frame(1, 4, 1, block(requestTo('/', 'POST'))),
    frame(0, 0, 1, Buffer.from('abc')),
  )
  await expect.poll(() => served.requests[0]?.body, { timeout: 10_000 }).toBe('abc')
  served.socket.end()
  await served.requests[0]?.ended()

  expect([served.requests[0]?.reset, served.requests[0]?.isEnded]).toEqual(['closed', false])
  await expect.poll(() => served.closed, { timeout: 10_000 }).toBe(1)
})

test.each([
  ['in the middle of a frame', frame(0, 1, 1, Buffer.from('abcdef')).subarray(0, 12)],
  ['between two frames', frame(0, 0, 1, Buffer.from('abc'))],
])('a connection that is reset below TLS %s cuts off what was on it', async (_name, bytes) => {
  await using served = await serve(() => {})
  const peer = new FramePeer(served.socket)
  peer.send(PREFACE, settings(), frame(4, 1, 0), frame(1, 4, 1, block(requestTo('/', 'POST'))), bytes)
  await expect.poll(() => served.requests[0]?.body, { timeout: 10_000 }).toBe('abc')
  resetSocket(served.below)
  await served.requests[0]?.ended()

  expect([served.requests[0]?.reset, served.requests[0]?.isEnded]).toEqual(['closed', false])
  await expect.poll(() => served.closed, { timeout: 10_000 }).toBe(1)
})

test('a server that is reset below TLS ends every request of its client, each once', async () => {
  await using served = await serve(() => {})
  const connection = connectHttp2(served.socket)
  const halves = [1, 2].map(() => {
    const half = heardOn((events) => connection.open(events))
    half.stream.sendHead(requestTo('/'), true)
    return half
  })
  await expect.poll(() => served.requests.length, { timeout: 10_000 }).toBe(2)
  resetSocket(served.below)
  for (const half of halves) await half.ended()

  expect(halves.map(({ log }) => log)).toEqual([['reset closed'], ['reset closed']])
  expect(connection.isLeaving).toBe(true)
})
