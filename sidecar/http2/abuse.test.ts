// What costs its sender little must not cost us much (threats: CVE-2023-44487, CVE-2024-27316, CVE-2019-9511 to 9518, CVE-2025-8671).
import { connect } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { PREFACE } from './protocol.ts'
import { connectNodeClient, echo, startCodecServer } from './testing.ts'
import { block, FramePeer, frame, get, getBlock, settings, uint32 } from './testing-frames.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const CALM = 11
const TEXT = Buffer.from('x')

const LARGE = [1, 9].map((type) => frame(type, 0, 1, Buffer.alloc(16_000, 0x82)))

/** A field of 4,000 bytes, put into the table, and 12,000 references to it. */
const BOMB = Buffer.concat([
  getBlock(),
  Buffer.of(0x40, 1, 120, 127, 0xa1, 0x1e),
  Buffer.alloc(4000, 'y'),
  Buffer.alloc(12_000, 0xbe),
])

const FLOODS: [string, (index: number) => Buffer, string][] = [
  [
    'rapid reset',
    (i) => Buffer.concat([get(2 * i + 1), frame(3, 0, 2 * i + 1, uint32(8))]),
    'requests are opened only to be reset',
  ],
  [
    'requests that make us reset them',
    (i) => frame(1, 5, 2 * i + 1, block([':method', 'GET'])),
    'requests are opened only to be reset',
  ],
  ['SETTINGS', () => settings([4, 65_535]), 'too many SETTINGS'],
  ['PING', () => frame(6, 0, 0, Buffer.alloc(8)), 'too many PINGs'],
  ['acknowledgements of PINGs', () => frame(6, 1, 0, Buffer.alloc(8)), 'too many PINGs'],
  ['empty DATA', (i) => (i === 0 ? frame(1, 4, 1, getBlock()) : frame(0, 0, 1)), 'too many empty frames'],
  ['WINDOW_UPDATE', () => frame(8, 0, 0, uint32(1)), 'too many WINDOW_UPDATEs'],
  ['PRIORITY', () => frame(2, 0, 3, Buffer.alloc(5)), 'too many frames that mean nothing'],
  ['frames of an unknown type', () => frame(0xfa, 0, 0, Buffer.alloc(8)), 'too many frames that mean nothing'],
  [
    'CONTINUATION',
    (i) => (i === 0 ? frame(1, 1, 1, getBlock()) : frame(9, 0, 1, block(['x', 'y']))),
    'a head in more than 32 CONTINUATION frames',
  ],
  [
    'empty CONTINUATION',
    (i) => (i === 0 ? frame(1, 1, 1, getBlock()) : frame(9, 0, 1)),
    'a head in more than 32 CONTINUATION frames',
  ],
  ['HPACK that unpacks', (i) => frame(1, 5, 2 * i + 1, BOMB), 'a head that unpacks to more than 1 MiB'],
  ['CONTINUATION that is large', (i) => LARGE[Math.min(i, 1)] as Buffer, 'a head beyond 80 KiB of HPACK'],
]

test.each(FLOODS)(
  '%s without end is told to calm down, costs little memory and no other client',
  async (_name, piece, detail) => {
    await using server = await startCodecServer({ answer: echo })
    await using other = connectNodeClient(server.port)
    await other.get('/')
    collectGarbage()
    const before = process.memoryUsage().rss
    await using peer = await FramePeer.connect(server.port)
    for (let i = 0; i < 20_000 && !peer.isClosed && !peer.frames.some(({ type }) => type === 7); i++) {
      peer.socket.write(piece(i))
      if (i % 500 === 0) await new Promise<void>((resolve) => setImmediate(resolve))
    }
    expect(await peer.goaway()).toBe(CALM)
    collectGarbage()

    expect(process.memoryUsage().rss - before).toBeLessThan(20 << 20)
    expect(server.refused.at(-1)).toEqual({ code: 'HTTP2_FLOOD', detail })
    expect((await other.get('/after')).body.toString()).toBe('GET /after ')
  },
)

test('a client that floods on after GOAWAY is not read from any more, and cut off', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ answer: echo, clock })
  // One that does not end with us.
  await using peer = new FramePeer(connect({ port: server.port, host: '127.0.0.1', allowHalfOpen: true }))
  peer.send(PREFACE, settings())
  const pings = Buffer.concat(Array.from({ length: 4000 }, () => frame(6, 0, 0, Buffer.alloc(8))))
  const more = (error?: Error | null) => !error && peer.socket.write(pings, more)
  more()
  await peer.goaway()
  let [before, now] = [-1, 0]
  while (before !== now) {
    await new Promise((resolve) => setTimeout(resolve, 200))
    ;[before, now] = [now, peer.socket.bytesWritten - peer.socket.writableLength]
  }
  // What is read, and what the kernel holds for us.
  expect(now).toBeLessThan(32 << 20)
  clock.advance(5000)
  await peer.untilClosed()
})

test('what happened long ago no longer counts', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(4, 1, 0))
  let sent = 0
  for (let round = 0; round < 10; round++) {
    for (let i = 0; i < 40; i++, sent++) peer.send(settings([4, 65_535]))
    await peer.until(() => peer.frames.filter(({ type, flags }) => type === 4 && flags === 1).length === sent + 1)
    clock.advance(20_000)
  }

  expect(server.refused).toEqual([])
})

test('PINGs that measure while a body comes are paid for by its DATA', async () => {
  await using server = await startCodecServer()
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(1, 4, 1, getBlock()))
  for (let i = 0; i < 3000; i++) peer.send(frame(0, 0, 1, TEXT), frame(6, 0, 0, Buffer.alloc(8)))
  await peer.until(() => peer.frames.filter(({ type }) => type === 6).length === 3000)

  expect(server.refused).toEqual([])
})

test('a head of indexed fields is refused by its decoded size, and the connection goes on', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using peer = await FramePeer.connect(server.port)
  const value = Buffer.alloc(4000, 'v')
  const entry = Buffer.concat([Buffer.from([0x40, 1, 0x78, 0x7f, 0xa1, 0x1e]), value])
  const bomb = Buffer.concat([getBlock(), entry, Buffer.alloc(200, 0xbe)])
  peer.send(frame(1, 5, 1, bomb))
  const answer = await peer.frame(1, 1)
  expect(peer.fieldsOf(answer).slice(0, 2)).toEqual([':status', '431'])
  peer.send(get(3))

  await peer.frame(1, 3)
  expect(server.requests).toHaveLength(1)
  expect(server.refused).toEqual([{ code: 'HEADER_TOO_LARGE', detail: 'a head beyond 60 KiB' }])
})

test('a client that reads nothing is no longer read from', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using peer = await FramePeer.connect(server.port)
  peer.socket.pause()
  const one = (id: number) => frame(1, 5, id, getBlock('x', 'y'.repeat(8000)))
  let flushed = true
  let id = 1
  // Its answers are small, so only what we must not read more of fills both sockets' buffers.
  for (; id < 200_000 && flushed; id += 2) flushed = peer.socket.write(one(id)) || peer.socket.writableLength < 4 << 20
  for (let turn = 0; turn < 500; turn++) await new Promise<void>((resolve) => setImmediate(resolve))

  expect(server.connections[0]?.active).toBeLessThanOrEqual(100)
  expect(peer.socket.writableLength).toBeGreaterThanOrEqual(0)
})

test('a body for which a client gives no window at all is given up after 30 seconds, a reader that stopped is not', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock })
  await using starving = await FramePeer.connect(
    server.port,
    Buffer.concat([PREFACE, settings([4, 0]), frame(4, 1, 0)]),
  )
  starving.send(get(1))
  const starved = await server.request(0)
  await using slow = await FramePeer.connect(server.port, Buffer.concat([PREFACE, settings([4, 10]), frame(4, 1, 0)]))
  slow.send(get(1))
  const stopped = await server.request(1)
  for (const { stream } of [starved, stopped]) {
    stream.sendHead([':status', '200'], false)
    stream.sendData(Buffer.alloc(100), 0, 100, true)
  }
  await slow.frame(0, 1)
  clock.advance(29_000)
  expect(starved.reset).toBe(null)
  clock.advance(2_000)

  expect([starved.reset, stopped.reset]).toEqual(['timeout', null])
  expect((await starving.frame(3, 1)).payload.readUInt32BE(0)).toBe(CALM)
  expect(server.refused).toEqual([{ code: 'HTTP2_FLOOD', detail: 'no window for a body in 30 seconds' }])
})
