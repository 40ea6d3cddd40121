// Requests that are reset: what is honest, what is too much, and who feels it.
import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { ResetSources } from './resets.ts'
import { type CodecServer, echo, startCodecServer } from './testing.ts'
import { FramePeer, frame, get, getBlock, uint32 } from './testing-frames.ts'

const CALM = 11
const CANCEL = 8
const reset = (id: number) => frame(3, 0, id, uint32(CANCEL))
const ids = (count: number, from = 0) => Array.from({ length: count }, (_, i) => 2 * (from + i) + 1)
const rapid = (count: number, from = 0) => Buffer.concat(ids(count, from).flatMap((id) => [get(id), reset(id)]))

/** Everything sent before was read: its PING came back. */
async function untilRead(peer: FramePeer, mark: number): Promise<void> {
  peer.send(frame(6, 0, 0, Buffer.concat([uint32(0), uint32(mark)])))
  await peer.until(() => peer.frames.some(({ type, payload }) => type === 6 && payload.readUInt32BE(4) === mark))
}

const resetsOf = (server: CodecServer) => server.requests.filter((request) => request.reset === 'cancel').length

/** So many requests have come, and the last was reset. */
async function untilReset(server: CodecServer, count: number): Promise<void> {
  const last = await server.request(count - 1)
  await last.until(() => last.reset === 'cancel')
}

test('long polls that are given up after a second or more never count', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, streamLimit: 1000 })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(4, 1, 0))
  for (let round = 0; round < 3; round++) {
    peer.send(...ids(1000, round * 1000).map(get))
    await server.request(round * 1000 + 999)
    clock.advance(1000)
    peer.send(...ids(1000, round * 1000).map(reset))
    await untilReset(server, (round + 1) * 1000)
  }
  peer.send(get(6001))
  await server.request(3000)

  expect(server.refused).toEqual([])
})

test('each request that is answered pays for one that is reset, as when two race', async () => {
  await using server = await startCodecServer({ clock: new ManualClock(), answer: echo })
  await using peer = await FramePeer.connect(server.port)
  for (let i = 0; i < 1000; i++) peer.send(get(4 * i + 1), frame(1, 4, 4 * i + 3, getBlock()), reset(4 * i + 3))
  await untilRead(peer, 1)

  expect(resetsOf(server)).toBe(1000)
  expect(server.refused).toEqual([])
})

test('an application that resets too many is read more slowly, others of its server are not, and at last it is refused', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, manyResets: 'slow' })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(4, 1, 0), rapid(8000))
  await untilReset(server, 1001)
  await using other = await FramePeer.connect(server.port)
  other.send(frame(4, 1, 0), get(1))
  await untilRead(other, 1)
  // That of the other came, and none of the slowed one.
  expect([server.requests.length, resetsOf(server)]).toEqual([1002, 1001])

  clock.advance(100)
  // As many more as 100 ms allow.
  expect(resetsOf(server)).toBe(1051)
  expect(server.refused).toEqual([])
  for (let i = 0; i < 200 && server.refused.length === 0; i++) {
    clock.advance(100)
    await untilRead(other, 2 + i)
  }
  expect(server.refused).toEqual([
    { code: 'HTTP2_FLOOD', detail: 'requests are opened only to be reset, and slowing did not help' },
  ])
  expect(await peer.goaway()).toBe(CALM)
})

test('who comes again on new connections is slowed there, and who resets little from the same address is not', async () => {
  const clock = new ManualClock()
  const resetSource = new ResetSources(clock).of('10.0.0.1')
  await using server = await startCodecServer({ clock, manyResets: 'slow', resetSource })
  await using honest = await FramePeer.connect(server.port)
  honest.send(frame(4, 1, 0), get(1))
  await server.request(0)
  // The third goes over what the address may.
  for (const count of [900, 1800, 2001]) {
    await using abuser = await FramePeer.connect(server.port)
    abuser.send(frame(4, 1, 0), rapid(900))
    await untilReset(server, 1 + count)
  }
  await using again = await FramePeer.connect(server.port)
  again.send(frame(4, 1, 0), rapid(900))
  await untilReset(server, 2003)
  honest.send(reset(1), rapid(5, 1))
  await untilRead(honest, 1)

  expect(resetsOf(server)).toBe(2008)
  expect(server.refused).toEqual([])
})

test('a peer that resets too many has its new requests begin later, and those in flight go on', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, trusted: true, manyResets: 'postpone', streamLimit: 4096 })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(4, 1, 0), frame(1, 4, 1, getBlock()))
  const inFlight = await server.request(0)
  peer.send(rapid(8000, 1))
  await untilRead(peer, 1)
  const begun = server.requests.length
  // Of the rest none was ever begun, since it was reset at once.
  expect(begun).toBe(4002)
  peer.send(frame(0, 0, 1, Buffer.from('go on')), frame(1, 4, 20_001, getBlock('x', 'y')))
  peer.send(frame(0, 0, 20_001, Buffer.from('late')), frame(1, 5, 20_001, getBlock().subarray(0, 0)))
  await untilRead(peer, 2)
  expect(inFlight.body).toBe('go on')
  expect(server.requests.length).toBe(begun)
  clock.advance(20)

  const late = server.requests.at(-1)
  expect(late?.body).toBe('late')
  expect(late?.log).toEqual(['head', 'data', 'trailers end'])
  expect(server.refused).toEqual([])
})

test('a request that is postponed begins at once when much of its body has come', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, trusted: true, manyResets: 'postpone' })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(4, 1, 0), rapid(5000))
  await untilRead(peer, 1)
  const begun = server.requests.length
  peer.send(frame(1, 4, 20_001, getBlock()), frame(0, 0, 20_001, Buffer.alloc(16_384, 'a')))
  peer.send(frame(0, 1, 20_001, Buffer.from('b')))
  await untilRead(peer, 2)

  expect(server.requests.length).toBe(begun + 1)
  expect(server.requests.at(-1)?.body).toBe(`${'a'.repeat(16_384)}b`)
  expect(server.requests.at(-1)?.isEnded).toBe(true)
})
