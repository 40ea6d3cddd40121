import { expect, test } from 'vitest'
import { fieldValue } from '#flow/fields.ts'
import { echo, RawClient, startCodecServer } from './testing.ts'
import { get, get10, ok, send, text } from './testing-messages.ts'

test('a chunked answer carries trailers, and one of known length leaves them out', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const first = await server.request(0)
  await first.ended()
  first.stream.sendHead(ok(), false)
  send(first, 'hello', false)
  first.stream.sendTrailers(['X-Sum', '5'])
  expect(await client.untilIncludes('X-Sum')).toBe(
    'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n',
  )

  client.received = ''
  client.send(get('/'))
  const second = await server.request(1)
  await second.ended()
  second.stream.sendHead(ok('content-length', '5'), false)
  send(second, 'hello', false)
  second.stream.sendTrailers(['X-Sum', '5'])
  expect(await client.untilIncludes('hello')).toBe('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello')
})

test('giving up a request whose answer is out ends the connection without losing the answer', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4000000\r\n\r\nab')
  const request = await server.request(0)
  request.stream.sendHead([':status', '413'], true)
  request.stream.reset('cancel')
  client.send('x'.repeat(100_000))

  expect(await client.untilEnd()).toContain('413')
})

test('a client of HTTP/1.0 gets no chunked coding and no 1xx: the close ends the answer', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get10('/', 'Connection: keep-alive'))
  const request = await server.request(0)
  await request.ended()
  expect(request.stream.version).toBe('1.0')
  expect(fieldValue(request.head, ':authority')).toBe('')
  request.stream.sendHead([':status', '103'], false)
  request.stream.sendHead(ok(), false)
  send(request, 'part', false)
  send(request, 'ly', false)
  request.stream.sendTrailers(['X', 'dropped'])

  expect(await client.untilEnd()).toBe('HTTP/1.1 200 OK\r\nConnection: close\r\n\r\npartly')
})

test('an answer that only the close would end is cut by a reset, so that it cannot look complete', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get10('/'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(ok(), false)
  send(request, 'part', false)
  await client.untilIncludes('part')
  const failed = new Promise<NodeJS.ErrnoException>((resolve) => client.socket.once('error', resolve))
  request.stream.reset('closed')

  expect((await failed).code).toBe('ECONNRESET')
  expect(client.isEnded).toBe(false)
})

test('Keep-Alive of HTTP/1.0 is honoured when it is asked for and the length is known', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)
  client.send(get10('/1', 'Connection: Keep-Alive', 'Host: shop'))
  expect(await client.untilIncludes('GET /1')).toContain('Connection: keep-alive')
  client.send(get10('/2'))

  expect(await client.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/2 $/)
})

test('Connection: close of the client ends the connection after the answer', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)
  client.send(get('/1', 'Connection: x, Close') + get('/2'))

  expect(await client.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/1 $/)
  client.socket.end()
  await client.until(() => client.isClosed)
  await server.untilClosed()
  expect(server.requests).toHaveLength(1)
})

test('a client that leaves while it waits is noticed', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  client.socket.destroy()
  await request.until(() => request.reset !== null)

  expect(request.reset).toBe('closed')
  expect(server.connections[0]?.active).toBe(0)
})

test('a client that leaves in the middle of its body is noticed', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nab')
  const request = await server.request(0)
  client.socket.end()
  await request.ended()

  expect(request.log).toEqual(['head', 'data', 'reset closed'])
})

test('a client that said that this is its last request may end its half and still gets the answer', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.socket.end(get('/', 'Connection: close'))
  const request = await server.request(0)
  await request.ended()
  await new Promise<void>((resolve) => setImmediate(resolve))
  echo(request)

  expect(await client.untilEnd()).toContain('GET / ')
})

test('a drain ends an idle connection at once', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)
  await client.send(get('/')).untilIncludes('GET /')

  server.connections[0]?.drain()

  expect(await client.untilEnd()).not.toContain('close')
})

test('a connection that closes after its next answer waits for that request, be it the first or a further one', async () => {
  await using server = await startCodecServer({ answer: echo })
  for (const [index, before] of [[], [get('/before')]].entries()) {
    await using client = await RawClient.connect(server.port)
    for (const request of before) await client.send(request).untilIncludes('GET /before')
    while (server.connections[index] === undefined) await new Promise(setImmediate)
    server.connections[index].closeAfterNext()
    await new Promise(setImmediate)
    client.send(get('/last'))

    expect(await client.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/last $/)
  }
})

test('a drain lets the request in flight end and says so in its answer', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  server.connections[0]?.drain()
  echo(request)

  expect(await client.untilEnd()).toContain('Connection: close\r\n')
})

test('destroy ends a request in flight as closed, and tells the end of the connection once', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  server.connections[0]?.destroy()
  await client.untilEnd()

  expect(request.reset).toBe('closed')
  expect(server.closed).toBe(1)
})

test('a drain right after the connection was handed over still answers the request that came with it', async () => {
  await using server = await startCodecServer({ answer: echo, head: text(get('/peeked')), drainAtOnce: true })
  await using client = await RawClient.connect(server.port)

  expect(await client.untilEnd()).toMatch(/Connection: close\r\n\r\nGET \/peeked $/)
})
