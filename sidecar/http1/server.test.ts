import { expect, test } from 'vitest'
import { fieldValue } from '#flow/fields.ts'
import { echo, RawClient, type Request, startCodecServer } from './testing.ts'
import { get, ok, send } from './testing-messages.ts'

test('gives a request as pseudo-fields and fields in their order and case, without Host and Transfer-Encoding', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('POST /a%2Fb?c HTTP/1.1\r\nX-One:  1 \t\r\nhOST: shop:80\r\nTransfer-Encoding: Chunked\r\nX-Two:\r\n\r\n')

  const request = await server.request(0)
  await request.until(() => request.heads.length > 0)

  expect(request.head).toEqual([
    ':method',
    'POST',
    ':scheme',
    'http',
    ':authority',
    'shop:80',
    ':path',
    '/a%2Fb?c',
    'X-One',
    '1',
    'X-Two',
    '',
  ])
  expect(request.log).toEqual(['head'])
  expect(request.stream.version).toBe('1.1')
})

test('keeps a path and raw bytes of values as they are', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('GET /%e4|{}"^` HTTP/1.1\r\nHost: shop\r\nX: \xff\r\n\r\n')

  const request = await server.request(0)
  await request.ended()

  expect(fieldValue(request.head, ':path')).toBe('/%e4|{}"^`')
  expect(fieldValue(request.head, 'x')).toBe('\xff')
})

test.each([
  ['GET http://Evil.example:81/a?b HTTP/1.1', 'http', 'Evil.example:81', '/a?b'],
  ['GET HTTPS://evil HTTP/1.1', 'https', 'evil', '/'],
  ['GET http://evil?q HTTP/1.1', 'http', 'evil', '/?q'],
  ['OPTIONS http://evil HTTP/1.1', 'http', 'evil', '*'],
  ['OPTIONS * HTTP/1.1', 'http', 'good', '*'],
  ['GET http://[::1]:80/ HTTP/1.1', 'http', '[::1]:80', '/'],
])('reads the target of %s', async (line, scheme, authority, path) => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(`${line}\r\nHost: good\r\n\r\n`)

  const request = await server.request(0)
  await request.ended()

  expect(request.head.slice(2)).toEqual([':scheme', scheme, ':authority', authority, ':path', path])
})

test('answers pipelined requests in order, each after the former exchange is over', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/1') + get('/2') + get('/3'))
  const first = await server.request(0)
  await first.ended()

  expect(server.requests).toHaveLength(1)
  echo(first)
  const second = await server.request(1)
  await second.ended()
  expect(server.requests).toHaveLength(2)
  expect(server.connections[0]?.active).toBe(1)
  echo(second)
  echo(await server.request(2))

  const answers = await client.untilIncludes('GET /3')
  expect(answers.match(/GET \/\d/g)).toEqual(['GET /1', 'GET /2', 'GET /3'])
  expect(server.connections[0]?.active).toBe(0)
})

test('requests that wait for their turn are those of their client, whatever others send meanwhile', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  await using other = await RawClient.connect(server.port)
  client.send(get('/1') + get('/2') + get('/3'))
  const first = await server.request(0)
  await first.ended()
  // All connections are read into the same place.
  other.send(`POST /other HTTP/1.1\r\nHost: shop\r\nContent-Length: 50000\r\n\r\n${'x'.repeat(50_000)}`)
  const foreign = await server.request(1)
  await foreign.ended()
  for (const index of [2, 3]) {
    echo(index === 2 ? first : (server.requests[2] as Request))
    await (await server.request(index)).ended()
  }
  echo(server.requests[3] as Request)

  expect((await client.untilIncludes('GET /3')).match(/GET \/\d/g)).toEqual(['GET /1', 'GET /2', 'GET /3'])
})

test('a thousand pipelined requests that are answered at once need no deep stack', async () => {
  await using server = await startCodecServer({ answer: () => {} })
  await using client = await RawClient.connect(server.port)
  const answerAll = (request: Request) => {
    request.onHead = () => request.stream.sendHead([':status', '204'], true)
  }
  const push = server.requests.push.bind(server.requests)
  server.requests.push = (request) => {
    answerAll(request as Request)
    return push(request)
  }

  client.send(get('/').repeat(3000) + get('/', 'Connection: close'))

  expect((await client.untilEnd()).match(/204 No Content/g)).toHaveLength(3001)
})

test('a client that pipelines and never reads makes the server stop reading', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.socket.pause()
  const body = 'x'.repeat(8000)
  const push = server.requests.push.bind(server.requests)
  server.requests.push = (request) => {
    const one = request as Request
    one.onHead = () => {
      one.stream.sendHead(ok('Content-Length', String(body.length)), false)
      send(one, body, true)
    }
    return push(request)
  }
  const total = 20_000
  for (let i = 0; i < total / 100; i++) client.send(get('/').repeat(100))
  let before = -1
  while (before !== server.requests.length) {
    before = server.requests.length
    for (let turn = 0; turn < 200; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  }

  expect(before).toBeGreaterThan(0)
  expect(before).toBeLessThan(total)
})

test('gives a body by its length in the pieces in which it comes', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 6\r\n\r\nab')
  const request = await server.request(0)
  await request.until(() => request.body === 'ab')
  client.send(`cdef${get('/next')}`)

  await client.untilIncludes('GET /next')
  expect(request.log).toEqual(['head', 'data', 'data end'])
  expect(fieldValue(request.head, 'content-length')).toBe('6')
  expect(server.requests[1]?.log).toEqual(['head end'])
})

test('gives a chunked body with its trailers', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n')
  client.send('3;a=b;c="d;e"\r\nabc\r\n0a\r\n0123456789\r\n000\r\nX-Sum: 13\r\nConnection: x\r\n\r\n')

  const answer = await client.untilIncludes('POST / abc0123456789')
  expect(answer).toContain('200 OK')
  expect(server.requests[0]?.trailers).toEqual(['X-Sum', '13'])
})

test('an answer without a body says so, but for 204, 304 and HEAD', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  const answers: [line: string, fields: string[]][] = [
    ['GET', [':status', '200']],
    ['GET', [':status', '204', 'Content-Length', '3']],
    ['GET', [':status', '304', 'Content-Length', '7']],
    ['HEAD', [':status', '200', 'Content-Length', '9']],
    ['HEAD', [':status', '200']],
  ]
  for (const [index, [method, fields]] of answers.entries()) {
    client.send(`${method} / HTTP/1.1\r\nHost: shop\r\n\r\n`)
    const request = await server.request(index)
    await request.ended()
    request.stream.sendHead(fields, index !== 3)
    if (index === 3) send(request, 'dropped', true)
  }

  client.send(get('/', 'Connection: close'))
  echo(await server.request(5))
  const heads = (await client.untilEnd()).split('\r\n\r\n').slice(0, 5)
  expect(heads).toEqual([
    'HTTP/1.1 200 OK\r\nContent-Length: 0',
    'HTTP/1.1 204 No Content',
    'HTTP/1.1 304 Not Modified\r\nContent-Length: 7',
    'HTTP/1.1 200 OK\r\nContent-Length: 9',
    'HTTP/1.1 200 OK',
  ])
})

test('several 1xx heads go before the final one, and Expect is left to the far side', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-Continue\r\nContent-Length: 2\r\n\r\n')
  const request = await server.request(0)
  await request.until(() => request.heads.length > 0)
  expect(fieldValue(request.head, 'expect')).toBe('100-Continue')
  expect(client.received).toBe('')

  request.stream.sendHead([':status', '103', 'Link', '</a>'], false)
  request.stream.sendHead([':status', '100'], false)
  await client.untilIncludes('100 Continue\r\n\r\n')
  client.send('ok')
  await request.ended()
  echo(request)
  client.send(get('/again'))
  echo(await server.request(1))

  expect(await client.untilIncludes('GET /again')).toMatch(
    /^HTTP\/1\.1 103 Early Hints\r\nLink: <\/a>\r\n\r\nHTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/,
  )
})

test('a refusal to a client that waits for 100 ends the connection: nobody knows whether the body will come', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nExpect: 100-continue\r\nContent-Length: 200\r\n\r\n')
  const request = await server.request(0)
  request.stream.sendHead([':status', '417'], true)

  expect(await client.untilEnd()).toMatch(/417 Expectation Failed\r\n.*Connection: close\r\n/s)
  client.send(get('/smuggled'))
  client.socket.end()
  await request.ended()
  expect(request.reset).toBe('closed')
  expect(server.requests).toHaveLength(1)
})

test('an answer may come before its request has ended, and the connection goes on after both', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send('POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 4\r\n\r\nab')
  const request = await server.request(0)
  request.stream.sendHead([':status', '403'], true)
  await client.untilIncludes('403')

  client.send(`cd${get('/next')}`)
  await request.ended()
  echo(await server.request(1))

  expect(request.body).toBe('abcd')
  expect(await client.untilIncludes('GET /next')).not.toContain('close')
})
