import { once } from 'node:events'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { NEVER_INDEXED } from '#flow/stream.ts'
import { answerOf, connectNodeClient, echo, echoAsItComes, startCodecServer, untilClosed } from './testing.ts'

test('a request of Node comes with its fields in order, and its answer goes back', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = connectNodeClient(server.port)
  const { headers, body } = await client.get('/a?b=%2F', { 'x-first': '1', 'user-agent': 'node', accept: ['a', 'b'] })

  expect(server.requests[0]?.head).toEqual([
    ...[':method', 'GET', ':scheme', 'http', ':authority', `127.0.0.1:${server.port}`, ':path', '/a?b=%2F'],
    ...['x-first', '1', 'user-agent', 'node', 'accept', 'a', 'accept', 'b'],
  ])
  expect(server.requests[0]?.stream.version).toBe('2')
  expect(server.requests[0]?.log).toEqual(['head end'])
  expect(headers[':status']).toBe(200)
  expect(body.toString()).toBe('GET /a?b=%2F ')
})

test('what the client never wants indexed is marked so, behind the pseudo-fields', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = connectNodeClient(server.port)
  await client.get('/', { authorization: 'Bearer a', 'x-plain': '1' })

  const fields = server.requests[0]?.head ?? []
  expect(fields.slice(8)).toEqual([NEVER_INDEXED, 'authorization', 'authorization', 'Bearer a', 'x-plain', '1'])
})

test('crumbs of a cookie are joined', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = connectNodeClient(server.port)
  await client.get('/', { cookie: ['a=1; b=2', 'c=3'] })

  const fields = server.requests[0]?.head ?? []
  // Node marks short cookies, so the name stands in that list, too.
  expect(fields.slice(8)).toEqual([NEVER_INDEXED, 'cookie', 'cookie', 'a=1; b=2; c=3'])
})

test('bodies of a megabyte go both ways, with trailers, on many streams at once', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port, { maxSessionMemory: 100 })
  void server.until(() => {
    for (const request of server.requests.splice(0)) echoAsItComes(request)
    return false
  })
  const body = Buffer.alloc(1024 * 1024, 'abcdefghijk')
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => {
      const stream = client.session.request({ ':method': 'POST', ':path': '/' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '7' }))
      stream.end(body)
      return answerOf(stream)
    }),
  )

  for (const answer of answers) {
    expect(answer.body.equals(body)).toBe(true)
    expect(answer.trailers['x-sum']).toBe('7')
  }
})

test('1xx heads go before the answer, any number of times', async () => {
  await using server = await startCodecServer({
    answer({ stream }) {
      stream.sendHead([':status', '103', 'link', '</a>'], false)
      stream.sendHead([':status', '103', 'link', '</b>'], false)
      stream.sendHead([':status', '204'], true)
    },
  })
  await using client = connectNodeClient(server.port)
  const stream = client.request({ ':path': '/' })
  const links: unknown[] = []
  stream.on('headers', (headers) => links.push(headers['link']))
  const { headers } = await answerOf(stream)

  expect(links).toEqual(['</a>', '</b>'])
  expect(headers[':status']).toBe(204)
})

test.each([
  ['refused', 7],
  ['cancel', 8],
  ['timeout', 8],
  ['protocol', 1],
  ['closed', 2],
  ['internal', 2],
  ['done', 0],
  ['malformed', 1],
  ['failed', 2],
  ['calm', 11],
  ['insecure', 12],
  ['http1', 13],
] as const)('a reset as %s has the number %i, and other streams go on', async (code, number) => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const other = client.get('/other')
  await server.request(0)
  const stream = client.request({ ':path': '/reset' })
  const half = await server.request(1)
  half.stream.reset(code)
  await untilClosed(stream)
  echo(await server.request(0))

  expect(stream.rstCode).toBe(number)
  expect((await other).headers[':status']).toBe(200)
  expect(half.reset).toBe(null)
})

test('a reset behind a whole answer tells the client to stop sending, without an error', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const upload = client.session.request({ ':method': 'POST', ':path': '/' })
  const errors: Error[] = []
  upload.on('error', (error) => errors.push(error))
  const { stream } = await server.request(0)
  stream.sendHead([':status', '413'], true)
  stream.reset('cancel')
  await untilClosed(upload.resume())

  expect([upload.rstCode, errors]).toEqual([0, []])
})

test('an answer that was handed over whole goes out before its client is told to stop sending', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const upload = client.session.request({ ':method': 'POST', ':path': '/' })
  const { stream } = await server.request(0)
  const size = 300_000
  stream.sendHead([':status', '413'], false)
  stream.sendData(Buffer.alloc(size), 0, size, true)
  stream.reset('cancel')
  const { headers, body } = await answerOf(upload)
  await untilClosed(upload)

  expect([headers[':status'], body.length, upload.rstCode]).toEqual([413, size, 0])
  expect(server.connections[0]?.active).toBe(0)
})

test('a client that gives up is heard as cancel', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const stream = client.request({ ':path': '/' })
  const half = await server.request(0)
  stream.close(8)
  await half.until(() => half.reset !== null)

  expect(half.reset).toBe('cancel')
  expect(server.connections[0]?.active).toBe(0)
})

test('a connection that breaks off is heard as closed by each of its requests', async () => {
  await using server = await startCodecServer()
  const socket = connect(server.port, '127.0.0.1')
  await using client = connectNodeClient(server.port, { createConnection: () => socket })
  for (const path of ['/1', '/2']) client.request({ ':path': path })
  const halves = [await server.request(0), await server.request(1)]
  socket.destroy()
  await server.until(() => server.closed === 1)

  expect(halves.map(({ reset }) => reset)).toEqual(['closed', 'closed'])
})

test('a thousand requests on one connection are answered, never more at once than the limit', async () => {
  let most = 0
  await using server = await startCodecServer({
    streamLimit: 50,
    answer(half) {
      most = Math.max(most, server.connections[0]?.active ?? 0)
      echo(half)
    },
  })
  await using client = connectNodeClient(server.port)
  await client.get('/')
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) => client.get(`/${i}`)))

  expect(answers.map(({ body }) => body.toString())).toEqual(Array.from({ length: 1000 }, (_, i) => `GET /${i} `))
  expect(most).toBeLessThanOrEqual(50)
})

test('a drained connection finishes what is in flight and what was on its way, refuses nothing, and closes', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const first = client.get('/first')
  await server.request(0)
  server.connections[0]?.drain()
  // Sent before the GOAWAY can have come.
  const second = client.get('/second')
  echo(await server.request(0))
  echo(await server.request(1))
  await server.until(() => server.closed === 1)

  expect((await first).headers[':status']).toBe(200)
  expect((await second).headers[':status']).toBe(200)
})

test('an idle connection that is drained closes; told to close after the next request, it waits for that', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using idle = connectNodeClient(server.port)
  await using waiting = connectNodeClient(server.port)
  await idle.get('/')
  await waiting.get('/')
  server.connections[0]?.drain()
  server.connections[1]?.closeAfterNext()
  await server.until(() => server.closed === 1)
  expect(waiting.session.closed).toBe(false)
  await waiting.get('/last')
  await server.until(() => server.closed === 2)

  expect(server.requests).toHaveLength(3)
})

test('a paused request stops its client at the window, and other requests go on', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const size = 8 * 1024 * 1024
  const paused = client.request({ ':method': 'POST', ':path': '/paused' }, Buffer.alloc(size))
  const half = await server.request(0)
  let received = half.body.length
  half.onData = (_bytes, from, to, end) => {
    received += to - from
    if (end) half.stream.sendHead([':status', '200'], true)
  }
  half.stream.pause()
  for (let i = 1; i <= 5; i++) {
    const other = answerOf(client.request({ ':method': 'POST', ':path': '/' }, Buffer.alloc(1024 * 1024)))
    const echoed = await server.request(i)
    echoed.body = ''
    echoed.onData = (_bytes, _from, _to, end) => {
      if (end) echoed.stream.sendHead([':status', '200'], true)
    }
    await other
  }
  // A window that was delivered before the pause, and the one that it gave back.
  expect(received).toBeLessThanOrEqual(2 * 64 * 1024)

  half.stream.resume()
  const { headers } = await answerOf(paused)
  expect(headers[':status']).toBe(200)
  expect(received).toBe(size)
})

test('sendData says when to stop, and onDrain when to go on; a reader that stops leaves a bounded rest', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  const stream = client.request({ ':path': '/' })
  const half = await server.request(0)
  const chunk = Buffer.alloc(16 * 1024, 'x')
  let sent = 0
  const target = 4 * 1024 * 1024
  const pump = () => {
    while (sent < target) {
      sent += chunk.length
      if (!half.stream.sendData(chunk, 0, chunk.length, sent === target)) return
    }
  }
  half.onDrain = pump
  half.stream.sendHead([':status', '200'], false)
  pump()
  await once(stream, 'response')
  // Not read: Node's window of 64 KiB fills, then our queue.
  for (let turn = 0; turn < 200; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  expect(sent).toBeLessThan(1024 * 1024)

  const { body } = await answerOf(stream)
  expect(body.length).toBe(target)
})

test('what cannot be sent ends its stream as internal, and the connection goes on', async () => {
  await using server = await startCodecServer()
  await using client = connectNodeClient(server.port)
  for (const [index, fields] of [
    [':status', '200', 'x', 'a\r\nb'],
    [':status', '101'],
    [':status', 'ok'],
    [':status', '200', 'x y', 'a'],
  ].entries()) {
    const stream = client.request({ ':path': '/' })
    const half = await server.request(index)
    half.stream.sendHead(fields, true)
    await untilClosed(stream)
    await half.until(() => half.reset !== null)
    expect([stream.rstCode, half.reset]).toEqual([2, 'internal'])
  }
  const last = client.get('/')
  echo(await server.request(4))
  expect((await last).headers[':status']).toBe(200)
})

test('fields of one HTTP/1.1 hop are left out of an answer, and names become lower case', async () => {
  await using server = await startCodecServer({
    answer: ({ stream }) =>
      stream.sendHead(
        [':status', '200', 'Connection', 'x', 'Keep-Alive', '5', 'Transfer-Encoding', 'chunked', 'X-Case', '1'],
        true,
      ),
  })
  await using client = connectNodeClient(server.port)
  const { headers } = await client.get('/')

  expect(Object.keys(headers)).toEqual([':status', 'x-case'])
})
