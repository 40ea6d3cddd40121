import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { expect, test } from 'vitest'
import { fieldValue, hasField } from '#flow/fields.ts'
import { Heard } from '#flow/heard.fixture.ts'
import { connectHttp1 } from './client.ts'
import { requestTo, startCodecClient } from './testing.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'
const bytes = (text: string) => Buffer.from(text, 'latin1')

test('writes a request with Host from :authority and its fields in their order and case', async () => {
  await using client = await startCodecClient()
  client.get([...requestTo('/a%2Fb?c'), 'X-One', '1', 'accept', '*/*'])

  expect(await client.peer.untilIncludes('\r\n\r\n')).toBe(
    'GET /a%2Fb?c HTTP/1.1\r\nHost: shop\r\nX-One: 1\r\naccept: */*\r\n\r\n',
  )
})

test.each([
  ['GET', ''],
  ['HEAD', ''],
  ['DELETE', ''],
  ['POST', 'Content-Length: 0\r\n'],
  ['PUT', 'Content-Length: 0\r\n'],
  ['PATCH', 'Content-Length: 0\r\n'],
])('says for %s without a body: "%s"', async (method, expected) => {
  await using client = await startCodecClient()
  client.get(requestTo('/', method))

  expect(await client.peer.untilIncludes('\r\n\r\n')).toBe(`${method} / HTTP/1.1\r\nHost: shop\r\n${expected}\r\n`)
})

test('sends a body of known length as it is', async () => {
  await using client = await startCodecClient()
  const half = client.open()
  half.stream.sendHead(requestTo('/', 'POST', 'content-length', '5'), false)
  half.stream.sendData(bytes('xhex'), 1, 4, false)
  half.stream.sendData(bytes('lo'), 0, 2, true)

  expect(await client.peer.untilIncludes('hexlo')).toBe(
    'POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: 5\r\n\r\nhexlo',
  )
})

test('sends a body of unknown length chunked, with its trailers', async () => {
  await using client = await startCodecClient()
  const half = client.open()
  half.stream.sendHead(requestTo('/', 'POST'), false)
  half.stream.sendData(bytes('0123456789abcdef'), 0, 16, false)
  half.stream.sendTrailers(['X-Sum', '16'])

  expect(await client.peer.untilIncludes('X-Sum')).toBe(
    'POST / HTTP/1.1\r\nHost: shop\r\nTransfer-Encoding: chunked\r\n\r\n10\r\n0123456789abcdef\r\n0\r\nX-Sum: 16\r\n\r\n',
  )
})

test('is idle again after an answer, and is used again', async () => {
  await using client = await startCodecClient()
  const first = client.get()
  expect(client.connection.isIdle).toBe(false)
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(OK)
  await first.ended()
  expect(first.status).toBe(200)
  expect(first.body).toBe('ok')
  await Promise.resolve()
  expect(client.connection.isIdle).toBe(true)
  expect(client.idle).toBe(1)

  const second = client.get()
  client.peer.send('HTTP/1.1 204 No Content\r\n\r\n')
  await second.ended()
  expect(second.log).toEqual(['head end'])
  expect(client.idle).toBe(2)
  expect(first.log).toEqual(['head', 'data end'])
})

test.each([
  ['HEAD with a length', 'HEAD', 'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n', '9'],
  ['HEAD with chunks', 'HEAD', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n', undefined],
  ['HEAD with neither', 'HEAD', 'HTTP/1.1 200 OK\r\n\r\n', undefined],
  ['204 with a length', 'GET', 'HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n', undefined],
  ['304 with a length', 'GET', 'HTTP/1.1 304 Not Modified\r\nContent-Length: 9\r\n\r\n', '9'],
  ['a length of 0', 'GET', 'HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n', '0'],
])('takes %s as an answer without a body', async (_name, method, answer, length) => {
  await using client = await startCodecClient()
  const half = client.get(requestTo('/', method))
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(answer)
  await half.ended()

  expect(half.log).toEqual(['head end'])
  expect(fieldValue(half.head, 'content-length')).toBe(length)
  expect(client.idle).toBe(1)
})

test('a chunked answer comes with its trailers', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send('HTTP/1.1 200\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n1;x\r\nc\r\n0\r\nX-Sum: 3\r\n\r\n')
  await half.ended()

  expect(half.head).toEqual([':status', '200'])
  expect(half.body).toBe('abc')
  expect(half.trailers).toEqual(['X-Sum', '3'])
  expect(client.idle).toBe(1)
})

test('an answer without a length ends with the connection', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send('HTTP/1.0 200 OK\r\nServer: BaseHTTP/0.6 Python/3.11\r\n\r\npart')
  await half.until(() => half.body === 'part')
  client.peer.socket.end('ly')
  await half.ended()
  await client.isGone()

  expect(half.body).toBe('partly')
  expect(half.log.at(-1)).toBe('data end')
  expect(client.idle).toBe(0)
})

test.each([
  ['HTTP/1.1 with Connection: close', 'HTTP/1.1 200 OK\r\nConnection: x, close\r\nContent-Length: 2\r\n\r\nok', false],
  ['HTTP/1.0', 'HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok', false],
  ['HTTP/1.0 with keep-alive', 'HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 2\r\n\r\nok', true],
])('%s: used again is %s', async (_name, answer, isReused) => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(answer)
  await half.ended()
  if (!isReused) await client.isGone()

  expect(half.body).toBe('ok')
  expect(client.connection.isIdle).toBe(isReused)
  expect(client.idle).toBe(isReused ? 1 : 0)
})

test('1xx heads come as they are, before the body is sent and after', async () => {
  await using client = await startCodecClient()
  const half = client.open()
  half.stream.sendHead(requestTo('/', 'PUT', 'Expect', '100-continue', 'Content-Length', '2'), false)
  await client.peer.untilIncludes('Expect: 100-continue')
  client.peer.send('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n')
  await half.until(() => half.heads.length === 2)
  half.stream.sendData(bytes('ok'), 0, 2, true)
  await client.peer.untilIncludes('\r\n\r\nok')
  client.peer.send(`HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n${OK}`)
  await half.ended()

  expect(half.heads.map((head) => head[1])).toEqual(['100', '103', '102', '200'])
  expect(half.heads[1]).toEqual([':status', '103', 'Link', '</a>'])
  expect(hasField(half.heads[2] ?? [], 'content-length')).toBe(false)
})

test('after a 101 bytes go both ways raw, and each direction ends on its own', async () => {
  await using client = await startCodecClient()
  const half = client.get(requestTo('/ws', 'GET', 'Upgrade', 'websocket'))
  expect(await client.peer.untilIncludes('\r\n\r\n')).toContain('Upgrade: websocket\r\nConnection: Upgrade\r\n')
  client.peer.send('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\nHTTP/1.1 raw')
  await half.until(() => half.body === 'HTTP/1.1 raw')
  expect(half.head).toContain('websocket')
  half.stream.sendData(bytes('\x00\xff'), 0, 2, false)
  await client.peer.untilIncludes('\x00\xff')
  client.peer.socket.end()
  await half.ended()
  expect(half.log.at(-1)).toBe('data end')
  half.stream.sendData(bytes('last'), 0, 4, true)

  expect(await client.peer.untilEnd()).toContain('\r\n\r\n\x00\xfflast')
  await client.isGone()
  expect(client.idle).toBe(0)
})

test('a connection on which an upgrade was turned down is not used again', async () => {
  await using client = await startCodecClient()
  const half = client.get(requestTo('/ws', 'GET', 'Upgrade', 'websocket'))
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(OK)
  await half.ended()
  await client.isGone()

  expect(half.body).toBe('ok')
  expect(client.idle).toBe(0)
})

test('a large end of a tunnel is not cut by the end of the other direction', async () => {
  await using client = await startCodecClient()
  const half = client.get(requestTo('/ws', 'GET', 'Upgrade', 'x'))
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.socket.end('HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n')
  await half.ended()
  client.peer.socket.pause()
  const size = 8 * 1024 * 1024
  half.stream.sendData(Buffer.alloc(size, 'z'), 0, size, true)
  client.peer.socket.resume()

  const received = await client.peer.untilEnd()
  expect(received.length - received.indexOf('z')).toBe(size)
})

test('an answer may come before the request has ended: it goes on, and both ends free the connection', async () => {
  await using client = await startCodecClient()
  const half = client.open()
  half.stream.sendHead(requestTo('/', 'POST', 'Content-Length', '4'), false)
  half.stream.sendData(bytes('ab'), 0, 2, false)
  await client.peer.untilIncludes('ab')
  client.peer.send(OK)
  await half.ended()
  expect(client.connection.isIdle).toBe(false)

  half.stream.sendData(bytes('cd'), 0, 2, true)
  expect(client.connection.isIdle).toBe(true)
  expect(client.idle).toBe(1)
  await client.peer.untilIncludes('abcd')
})

test('a late reset of an answered request leaves the connection alone', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  const onData = half.onData.bind(half)
  half.onData = (...data) => {
    onData(...data)
    if (data[3]) half.stream.reset('cancel')
  }
  client.peer.send(OK)
  await half.ended()
  half.stream.reset('cancel')

  expect(client.connection.isIdle).toBe(true)
  expect(client.idle).toBe(1)
})

test('an exchange may open the next request from within onIdle', async () => {
  await using client = await startCodecClient()
  const second = new Heard()
  client.connection.onIdle = () => {
    if (second.log.length === 0) client.connection.open(second).sendHead(requestTo('/second'), true)
  }
  client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(OK)
  await client.peer.untilIncludes('GET /second')
  client.peer.send(OK)
  await second.ended()

  expect(second.body).toBe('ok')
})

test('the end of a request tells the capacity first, and that it is idle only if no request was opened on that', async () => {
  await using client = await startCodecClient()
  const second = new Heard()
  const told: string[] = []
  client.connection.onIdle = () => told.push('idle')
  client.connection.onCapacity = () => {
    told.push(`capacity ${client.connection.capacity}`)
    if (told.length === 1) client.connection.open(second).sendHead(requestTo('/second'), true)
  }
  expect([client.connection.capacity, client.connection.active]).toEqual([1, 0])
  client.get()
  expect([client.connection.capacity, client.connection.active]).toEqual([0, 1])
  for (const path of ['/', '/second']) {
    await client.peer.untilIncludes(`GET ${path} `)
    client.peer.send(OK)
  }
  await second.ended()

  expect(told).toEqual(['capacity 1', 'capacity 1', 'idle'])
})

test('a drained connection finishes its request and closes; an idle one closes at once', async () => {
  for (const isBusy of [true, false]) {
    await using client = await startCodecClient()
    let leaving = 0
    client.connection.onLeaving = () => leaving++
    const half = isBusy ? client.get() : null
    if (isBusy) await client.peer.untilIncludes('\r\n\r\n')
    client.connection.drain()
    expect([client.connection.isLeaving, client.connection.capacity]).toEqual([true, 0])
    if (isBusy) client.peer.send(OK)
    await half?.ended()
    await client.isGone()

    expect(half?.body).toBe(isBusy ? 'ok' : undefined)
    expect([leaving, client.idle]).toEqual([isBusy ? 1 : 0, 0])
  }
})

test('an answer that says close tells at its head that the connection is leaving', async () => {
  await using client = await startCodecClient()
  const told: string[] = []
  const half = client.get()
  client.connection.onLeaving = () => told.push(`leaving after ${half.log.length}`)
  client.connection.onGone = () => told.push('gone')
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send('HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok')
  await half.ended()
  await client.peer.untilEnd()

  expect(told).toEqual(['leaving after 0', 'gone'])
})

test('a paused answer stops its sender', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  const size = 64 * 1024 * 1024
  let received = 0
  half.onData = (_bytes, from, to, end) => {
    if (received === 0) half.stream.pause()
    received += to - from
    if (end) half.isEnded = true
  }
  client.peer.send(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`)
  client.peer.socket.write(Buffer.alloc(size))
  for (let turn = 0; turn < 500; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  expect(received).toBeLessThan(1024 * 1024)

  half.stream.resume()
  while (!half.isEnded) await new Promise<void>((resolve) => setImmediate(resolve))
  expect(received).toBe(size)
})

test('speaks with a server of Node', async () => {
  const server = createServer((request, response) => {
    request.pipe(response)
  })
  server.listen(0)
  await once(server, 'listening')
  const address = server.address()
  const socket = connect(typeof address === 'object' && address !== null ? address.port : 0)
  await once(socket, 'connect')
  const connection = connectHttp1(socket)
  try {
    for (let i = 0; i < 3; i++) {
      const heard = new Heard()
      const stream = connection.open(heard)
      stream.sendHead(requestTo('/', 'POST'), false)
      for (let chunk = 0; chunk < 20; chunk++) stream.sendData(bytes('x'.repeat(10_000)), 0, 10_000, chunk === 19)
      await heard.ended()
      expect(heard.body).toBe('x'.repeat(200_000))
    }
  } finally {
    connection.destroy()
    server.close()
    await once(server, 'close')
  }
})
