// Streams of one connection side by side: who waits for whom, and what waiting costs.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { PREFACE } from './protocol.ts'
import { startCodecServer } from './testing.ts'
import { FramePeer, frame, get, getBlock, settings, uint32 } from './testing-frames.ts'

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void
const WIDE = Buffer.concat([PREFACE, settings([4, 0x7fff_ffff]), frame(8, 0, 0, uint32(0x7fff_0000))])

test('a small answer waits for no more of a large body than was under way already', async () => {
  await using server = await startCodecServer()
  await using peer = await FramePeer.connect(server.port, WIDE)
  const chunk = Buffer.alloc(1 << 20, 'x')
  peer.send(get(1))
  const large = await server.request(0)
  large.stream.sendHead([':status', '200'], false)
  // Handed over in spite of a false, so that 64 MiB wait.
  for (let i = 0; i < 64; i++) large.stream.sendData(chunk, 0, chunk.length, i === 63)
  const ends: number[] = []
  for (let id = 3; id <= 9; id += 2) {
    peer.send(get(id))
    const small = await server.request((id - 1) / 2)
    const before = peer.frames.length
    small.stream.sendHead([':status', '200'], false)
    small.stream.sendData(chunk, 0, 100, true)
    await peer.until(() =>
      peer.frames.some(({ type, flags, streamId }) => type === 0 && flags === 1 && streamId === id),
    )
    const at = peer.frames.findIndex(({ type, flags, streamId }) => type === 0 && flags === 1 && streamId === id)
    ends.push(at - before)
  }
  const isOver = peer.frames.some(({ flags, streamId, type }) => type === 0 && flags === 1 && streamId === 1)

  // 64 MiB are 4096 frames; 256 KiB in our hands are 16, and the buffers of the two sockets hold a few MiB.
  expect(Math.max(...ends)).toBeLessThan(1000)
  expect(isOver).toBe(false)
})

test('a frame of 8 KiB of an application is answered with its window at once, so that its next one need not wait', async () => {
  await using server = await startCodecServer()
  await using peer = await FramePeer.connect(server.port, Buffer.concat([PREFACE, settings()]))
  peer.send(frame(1, 4, 1, getBlock()), frame(0, 0, 1, Buffer.alloc(8192)))

  expect((await peer.frame(8, 1)).payload).toEqual(uint32(8192))
})

test('streams that wait for the window of the connection get it in turns of a frame', async () => {
  await using server = await startCodecServer()
  await using peer = await FramePeer.connect(server.port, Buffer.concat([PREFACE, settings([4, 0x7fff_ffff])]))
  const chunk = Buffer.alloc(100_000, 'x')
  for (const id of [1, 3, 5]) peer.send(get(id))
  await server.request(2)
  for (const { stream } of server.requests) {
    stream.sendHead([':status', '200'], false)
    stream.sendData(chunk, 0, chunk.length, true)
  }
  await peer.frame(1, 5)
  const seen = () => peer.frames.filter(({ type }) => type === 0)
  const first = seen().length
  peer.send(frame(8, 0, 0, uint32(6 * 16_384)))
  await peer.until(() => seen().length >= first + 6)

  expect(
    seen()
      .slice(first, first + 6)
      .map(({ streamId }) => streamId),
  ).toEqual([1, 3, 5, 1, 3, 5])
})

test('a body that comes byte by byte and waits for a window costs no more than its size', async () => {
  await using server = await startCodecServer()
  await using peer = await FramePeer.connect(server.port, Buffer.concat([PREFACE, settings([4, 0])]))
  for (let i = 0; i < 20; i++) peer.send(get(2 * i + 1))
  await server.request(19)
  const byte = Buffer.from('a')
  collectGarbage()
  const before = inUse()
  for (const { stream } of server.requests) {
    stream.sendHead([':status', '200'], false)
    for (let i = 0; i < 65_536; i++) stream.sendData(byte, 0, 1, i === 65_535)
  }
  collectGarbage()
  // 20 bodies of 64 KiB.
  expect(inUse() - before).toBeLessThan(8 << 20)

  peer.send(frame(8, 0, 1, uint32(100_000)), frame(8, 0, 0, uint32(100_000)))
  await peer.until(() => peer.frames.some(({ type, flags, streamId }) => type === 0 && flags === 1 && streamId === 1))
  const body = peer.frames.filter(({ type, streamId }) => type === 0 && streamId === 1)
  expect(Buffer.concat(body.map(({ payload }) => payload)).toString()).toBe('a'.repeat(65_536))
})

test('a reader that gives no window stops its source at the first byte, and one that stops later within 48 KiB', async () => {
  await using server = await startCodecServer()
  await using starving = await FramePeer.connect(server.port, Buffer.concat([PREFACE, settings([4, 0])]))
  await using stopping = await FramePeer.connect(server.port, Buffer.concat([PREFACE, settings([4, 10])]))
  starving.send(get(1))
  await server.request(0)
  stopping.send(get(1))
  await server.request(1)
  const accepted = server.requests.map(({ stream }) => {
    stream.sendHead([':status', '200'], false)
    let count = 1
    while (stream.sendData(Buffer.alloc(16_384), 0, 16_384, false)) count++
    return count
  })

  expect(accepted).toEqual([1, 3])
})

test('a stream may be sent 64 KiB until its body flows, and what the connection allows from then on', async () => {
  const windowBytes = 256 * 1024
  await using server = await startCodecServer({ windowBytes })
  await using peer = await FramePeer.connect(server.port)
  expect((await peer.frame(4, 0)).payload.readUInt32BE(8)).toBe(65_535)
  peer.send(frame(1, 4, 1, getBlock()), frame(1, 4, 3, getBlock()))
  const flowing = await server.request(0)
  ;(await server.request(1)).stream.pause()
  const allowed = (id: number) =>
    peer.frames
      .filter(({ type, streamId }) => type === 8 && streamId === id)
      .reduce((sum, { payload }) => sum + payload.readUInt32BE(0), 65_535)
  let sent = 0
  while (sent < 512 * 1024) {
    if (sent === 0) peer.send(frame(0, 0, 3, Buffer.alloc(16_384)))
    peer.send(frame(0, 0, 1, Buffer.alloc(16_384)))
    sent += 16_384
    await flowing.until(() => flowing.body.length === sent)
    await peer.until(() => allowed(1) - sent >= 16_384)
  }

  expect(allowed(1)).toBeGreaterThan(sent + 64 * 1024)
  expect(allowed(1)).toBeLessThanOrEqual(sent + windowBytes)
  expect(allowed(3)).toBe(65_535)
})

function inUse(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage()
  return heapUsed + arrayBuffers
}
