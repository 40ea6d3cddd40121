import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { BULK_STEP_BYTES, Bulk } from './bulk.ts'
import { connectCodecClient, echo, requestTo, startCodecServer } from './testing.ts'

test('a body counts for a second after so much of it has passed, and again with the next step', () => {
  const clock = new ManualClock()
  const bulk = new Bulk<string>(clock)
  bulk.onStep('a')
  clock.advance(600)
  bulk.onStep('b')
  expect(bulk.size).toBe(2)
  clock.advance(600)
  expect(bulk.size).toBe(1)
  bulk.onStep('a')

  expect(bulk.size).toBe(2)
})

test('a body that is over counts no more', () => {
  const bulk = new Bulk<string>(new ManualClock())
  bulk.onStep('a')
  bulk.forget('a')

  expect(bulk.size).toBe(0)
})

test.each([
  ['a step', BULK_STEP_BYTES, 1],
  ['less than a step', BULK_STEP_BYTES - 1, 0],
])('a connection on which %s of a request has passed says so, until the stream is over', async (_, size, bulk) => {
  await using server = await startCodecServer()
  await using client = await connectCodecClient(server.port, {}, new ManualClock())
  const half = client.send(requestTo('/', 'POST'), false)
  const received = await server.request(0)
  let receivedBytes = 0
  received.onData = (_bytes, from, to) => {
    receivedBytes += to - from
  }
  half.stream.sendData(Buffer.alloc(size), 0, size, false)
  await expect.poll(() => receivedBytes).toBe(size)
  expect(client.connection.bulk).toBe(bulk)
  half.stream.reset('cancel')

  expect(client.connection.bulk).toBe(0)
})

test('a connection on which a long answer passes says so, until the stream is over', async () => {
  await using server = await startCodecServer()
  await using client = await connectCodecClient(server.port, {}, new ManualClock())
  const half = client.send(requestTo('/'))
  let receivedBytes = 0
  half.onData = (_bytes, from, to) => {
    receivedBytes += to - from
  }
  const request = await server.request(0)
  request.stream.sendHead([':status', '200'], false)
  // What is less than half a window is not refunded, and not counted before.
  const size = BULK_STEP_BYTES + 65_536
  request.stream.sendData(Buffer.alloc(size), 0, size, false)
  await expect.poll(() => receivedBytes).toBe(size)
  expect(client.connection.bulk).toBe(1)
  half.stream.reset('cancel')

  expect(client.connection.bulk).toBe(0)
})

test('a stream that has ended in order counts no more', async () => {
  await using server = await startCodecServer({ answer: (request) => echo(request) })
  await using client = await connectCodecClient(server.port, {}, new ManualClock())
  const half = client.send(requestTo('/', 'POST'), false)
  half.stream.sendData(Buffer.alloc(BULK_STEP_BYTES), 0, BULK_STEP_BYTES, true)
  await half.ended()

  expect(client.connection.bulk).toBe(0)
})
