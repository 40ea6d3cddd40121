import { expect, test } from 'vitest'
import { fieldValue, hasField } from '#flow/fields.ts'
import { echo, RawClient, startCodecServer } from './testing.ts'
import { get, get10, send } from './testing-messages.ts'

test('an upgrade becomes a tunnel with what came right behind the head, and each direction ends on its own', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(`${get('/ws', 'Connection: keep-alive, Upgrade', 'Upgrade: websocket')}early`)
  const request = await server.request(0)
  await request.ended()
  expect(fieldValue(request.head, 'upgrade')).toBe('websocket')
  expect(request.body).toBe('')
  request.isEnded = false

  request.stream.sendHead([':status', '101', 'Upgrade', 'websocket', 'Sec-WebSocket-Accept', 'x'], false)
  expect(request.body).toBe('')
  await request.until(() => request.body === 'early')
  client.send('\x00\xff\r\n\r\n')
  await request.until(() => request.body === 'early\x00\xff\r\n\r\n')
  send(request, '\x80raw', false)
  await client.untilIncludes('\x80raw')
  client.socket.end()
  await request.ended()
  expect(request.log.at(-1)).toBe('data end')
  send(request, 'last', true)

  expect(await client.untilEnd()).toBe(
    'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: x\r\nConnection: Upgrade\r\n\r\n\x80rawlast',
  )
  await client.until(() => client.isClosed)
  expect(server.requests).toHaveLength(1)
})

test('a tunnel whose far side ends first still takes bytes from the client', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/ws', 'Connection: Upgrade', 'Upgrade: echo'))
  const request = await server.request(0)
  await request.ended()
  request.isEnded = false
  request.stream.sendHead([':status', '101', 'Upgrade', 'echo'], false)
  send(request, 'bye', true)
  await client.untilEnd()

  client.send('more')
  client.socket.end()
  await request.ended()
  expect(request.body).toBe('more')
  expect(request.reset).toBe(null)
})

test('what came behind a request to upgrade that is turned down is the next request', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/ws', 'Connection: Upgrade', 'Upgrade: websocket') + get('/next'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead([':status', '426', 'Upgrade', 'websocket'], true)
  echo(await server.request(1))

  expect(await client.untilIncludes('GET /next')).toContain(
    'Upgrade: websocket\r\nContent-Length: 0\r\nConnection: Upgrade\r\n',
  )
})

test.each([
  ['h2c', ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk'], undefined],
  ['h2c in a list', ['Connection: Upgrade', 'Upgrade: H2C , websocket'], 'websocket'],
  ['an upgrade that Connection does not name', ['Upgrade: websocket'], undefined],
])('strips %s', async (_name, fields, expected) => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/', ...fields))

  const request = await server.request(0)
  await request.ended()

  expect(fieldValue(request.head, 'upgrade')).toBe(expected)
  expect(hasField(request.head, 'http2-settings')).toBe(false)
})

test('a 101 that was not asked for is never sent', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get10('/', 'Connection: Upgrade', 'Upgrade: websocket'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead([':status', '101', 'Upgrade', 'websocket'], false)
  await request.until(() => request.reset !== null)

  expect(request.reset).toBe('internal')
  expect(await client.untilEnd()).toBe('')
})

test('a drain leaves a tunnel alone', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/ws', 'Connection: Upgrade', 'Upgrade: echo'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead([':status', '101', 'Upgrade', 'echo'], false)
  server.connections[0]?.drain()
  client.send('still')
  await request.until(() => request.body === 'still')

  send(request, 'here', false)
  expect(await client.untilIncludes('here')).toContain('101')
})
