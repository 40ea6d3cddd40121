import { constants, type ServerHttp2Stream, sensitiveHeaders } from 'node:http2'
import { expect, test } from 'vitest'
import { fieldValue } from '#flow/fields.ts'
import { NEVER_INDEXED } from '#flow/stream.ts'
import { connectCodecClient, requestTo, startNodeServer, untilClosed } from './testing.ts'

test('a request reaches Node with its fields, and the answer comes back with its own', async () => {
  await using node = await startNodeServer((stream, headers) =>
    stream.respond({ ':status': 201, 'x-path': headers[':path'], 'x-echo': headers['x-case'] }, { endStream: true }),
  )
  await using client = await connectCodecClient(node.port)
  const half = client.send(
    requestTo('/a?b', 'GET', 'X-Case', 'Kept', 'Host', 'other', 'Connection', 'close', 'TE', 'gzip'),
  )
  await half.ended()

  expect(half.head.slice(0, 6)).toEqual([':status', '201', 'x-path', '/a?b', 'x-echo', 'Kept'])
  expect(half.log).toEqual(['head end'])
  expect(client.told).toEqual(['idle'])
})

test('what must not be indexed reaches Node as sensitive', async () => {
  const seen: unknown[] = []
  await using node = await startNodeServer((stream, headers) => {
    seen.push(Reflect.get(headers, sensitiveHeaders))
    stream.respond({ ':status': 200 }, { endStream: true })
  })
  await using client = await connectCodecClient(node.port)
  for (let i = 0; i < 2; i++)
    await client.send([...requestTo('/'), NEVER_INDEXED, 'x-key', 'X-Key', 'secret', 'x', 'y']).ended()

  expect(seen).toEqual([['x-key'], ['x-key']])
})

test('bodies, trailers and 1xx heads go both ways on many streams at once', async () => {
  await using node = await startNodeServer((stream) => {
    stream.additionalHeaders({ ':status': 103, link: '</a>' })
    stream.respond({ ':status': 200 }, { waitForTrailers: true })
    stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '1' }))
    stream.pipe(stream)
  })
  await using client = await connectCodecClient(node.port)
  const chunk = Buffer.alloc(100_000, 'abc')
  const halves = Array.from({ length: 20 }, () => {
    const half = client.send(requestTo('/', 'POST'), false)
    let left = 10
    const pump = () => {
      while (left > 0) if (!half.stream.sendData(chunk, 0, chunk.length, --left === 0)) return
    }
    half.onDrain = pump
    pump()
    return half
  })
  for (const half of halves) {
    await half.ended()
    expect(half.heads.map((head) => head[1])).toEqual(['103', '200'])
    expect(half.body === chunk.toString().repeat(10)).toBe(true)
    expect(half.trailers).toEqual(['x-sum', '1'])
  }
})

test('the capacity is that of the server, and is told when it comes back', async () => {
  let count = 0
  const answer = (stream: ServerHttp2Stream) => {
    if (count++ > 0) stream.respond({ ':status': 200 }, { endStream: true })
  }
  await using node = await startNodeServer(answer, { settings: { maxConcurrentStreams: 3 } })
  await using client = await connectCodecClient(node.port)
  const { connection } = client
  expect([connection.capacity, connection.active, connection.isIdle]).toEqual([100, 0, true])
  const first = client.send(requestTo('/first'))
  await client.send(requestTo('/second')).ended()
  expect([connection.capacity, connection.active]).toEqual([2, 1])

  const more = [client.send(requestTo('/3')), client.send(requestTo('/4'))]
  expect([connection.capacity, connection.isLeaving]).toEqual([0, false])
  const beyond = client.open()
  await beyond.ended()
  expect(beyond.reset).toBe('refused')
  await Promise.all(more.map((half) => half.ended()))
  node.streams[0]?.respond({ ':status': 200 }, { endStream: true })
  await first.ended()

  expect(client.told).toEqual(['capacity', 'idle'])
})

test('a reset by the server is heard with its meaning, whatever its number', async () => {
  await using node = await startNodeServer((stream, headers) => stream.close(Number(headers['x-code'])))
  await using client = await connectCodecClient(node.port)
  const heard: unknown[] = []
  const numbers = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 2 ** 31]
  for (const code of numbers.map(String)) {
    const half = client.send(requestTo('/', 'POST', 'x-code', code), false)
    await half.ended()
    heard.push(half.reset)
  }

  const ofOneHop = ['failed', 'failed', 'failed', 'failed']
  expect(heard.slice(0, 9)).toEqual(['done', 'malformed', 'failed', ...ofOneHop, 'refused', 'cancel'])
  expect(heard.slice(9)).toEqual(['failed', 'failed', 'calm', 'insecure', 'http1', 'failed', 'failed'])
  expect(client.connection.isIdle).toBe(true)
})

test('a request given up reaches the server as a reset, and the connection stays', async () => {
  await using node = await startNodeServer()
  await using client = await connectCodecClient(node.port)
  const half = client.send(requestTo('/', 'POST'), false)
  const stream = await node.stream(0)
  half.stream.reset('cancel')
  await untilClosed(stream)

  expect(stream.rstCode).toBe(8)
  expect(half.reset).toBe(null)
  expect(client.told).toEqual(['idle'])
})

test('a GOAWAY takes no further request, finishes those it names and refuses the others', async () => {
  await using node = await startNodeServer()
  await using client = await connectCodecClient(node.port)
  const kept = client.send(requestTo('/kept'))
  await node.stream(0)
  const refused = client.send(requestTo('/refused'))
  await node.stream(1)
  node.sessions[0]?.goaway(0, 1)
  await client.untilTold('leaving')
  await refused.ended()
  expect(refused.reset).toBe('refused')
  expect([client.connection.capacity, client.connection.isLeaving]).toEqual([0, true])
  node.streams[0]?.respond({ ':status': 200 }, { endStream: true })
  await kept.ended()
  await client.untilTold('gone')

  expect(fieldValue(kept.head, ':status')).toBe('200')
  expect(client.told).toEqual(['leaving', 'gone'])
})

test('an application that calls for calm gets no further request on that connection, and finishes those it has', async () => {
  await using node = await startNodeServer()
  await using client = await connectCodecClient(node.port, { toApplication: true })
  const kept = client.send(requestTo('/kept'))
  await node.stream(0)
  const refused = client.send(requestTo('/refused'))
  const stream = await node.stream(1)
  stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM)
  await refused.ended()
  expect(refused.reset).toBe('calm')
  expect([client.connection.capacity, client.connection.isLeaving]).toEqual([0, true])
  node.streams[0]?.respond({ ':status': 200 }, { endStream: true })
  await kept.ended()
  await client.untilTold('gone')

  expect(fieldValue(kept.head, ':status')).toBe('200')
})

test('of the requests to an application 50 at most share a connection, whatever it allows', async () => {
  await using node = await startNodeServer()
  await using client = await connectCodecClient(node.port, { toApplication: true })
  await using peer = await connectCodecClient(node.port)
  client.send(requestTo('/'))
  peer.send(requestTo('/'))
  await Promise.all([node.stream(0), node.stream(1)])

  expect(client.connection.capacity).toBe(49)
  expect(peer.connection.capacity).toBeGreaterThan(49)
})

test('a drained connection finishes its requests, says GOAWAY and closes; an idle one at once', async () => {
  await using node = await startNodeServer()
  await using idle = await connectCodecClient(node.port)
  idle.connection.drain()
  await idle.untilTold('gone')

  await using client = await connectCodecClient(node.port)
  const half = client.send(requestTo('/'))
  const stream = await node.stream(0)
  client.connection.drain()
  const late = client.open()
  await late.ended()
  stream.respond({ ':status': 200 }, { endStream: true })
  await half.ended()
  await client.untilTold('gone')

  expect([late.reset, half.head[1]]).toEqual(['refused', '200'])
  expect(client.told).toEqual(['leaving', 'gone'])
})

test('a connection that breaks off is heard as closed; a request whose head never left as refused', async () => {
  await using node = await startNodeServer()
  await using client = await connectCodecClient(node.port)
  const sent = client.send(requestTo('/'))
  await node.stream(0)
  const unsent = client.send(requestTo('/unsent'))
  const opened = client.open()
  client.connection.destroy()
  await client.untilTold('gone')

  expect([sent.reset, unsent.reset, opened.reset]).toEqual(['closed', 'refused', 'refused'])
})

test('a paused answer stops its sender at the window, and other answers come', async () => {
  const size = 8 * 1024 * 1024
  await using node = await startNodeServer((stream) => {
    stream.respond({ ':status': 200 })
    stream.end(Buffer.alloc(size))
  })
  await using client = await connectCodecClient(node.port)
  const counts = [0, 0]
  const [slow, quick] = counts.map((_, index) => {
    const half = client.send(requestTo('/'))
    half.onData = (_bytes, from, to, end) => {
      counts[index] = (counts[index] ?? 0) + to - from
      if (end) half.onTrailers([])
    }
    return half
  })
  slow?.stream.pause()
  await quick?.ended()
  expect(counts[1]).toBe(size)
  expect(counts[0]).toBeLessThanOrEqual(64 * 1024)

  slow?.stream.resume()
  await slow?.ended()
  expect(counts[0]).toBe(size)
})

test('the answer to a HEAD has a length and no body', async () => {
  await using node = await startNodeServer((stream) =>
    stream.respond({ ':status': 200, 'content-length': 100 }, { endStream: true }),
  )
  await using client = await connectCodecClient(node.port)
  const half = client.send(requestTo('/', 'HEAD'))
  await half.ended()

  expect([half.reset, fieldValue(half.head, 'content-length')]).toEqual([null, '100'])
})

test('a request that cannot be sent ends as internal, the server hears nothing of it, and the connection goes on', async () => {
  await using node = await startNodeServer((stream) => stream.respond({ ':status': 200 }, { endStream: true }))
  await using client = await connectCodecClient(node.port)
  await client.send(requestTo('/')).ended()
  for (const fields of [
    requestTo('/', 'GET', 'x', 'a\r\nb'),
    requestTo('/', 'CONNECT'),
    requestTo('/', 'GET', 'x y', 'a'),
  ]) {
    const half = client.send(fields)
    await half.ended()
    expect(half.reset).toBe('internal')
  }
  const last = client.send(requestTo('/'))
  await last.ended()

  expect(last.head[1]).toBe('200')
  expect(node.streams).toHaveLength(2)
  expect(client.connection.active).toBe(0)
})
