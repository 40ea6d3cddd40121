import { once } from 'node:events'
import { expect, test } from 'vitest'
import { requestTo, startCodecClient } from './testing.ts'

const OK = 'HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'

test('endless 1xx heads are refused', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  const hint = `HTTP/1.1 103 Early Hints\r\nX: ${'a'.repeat(30_000)}\r\n\r\n`
  client.peer.send(hint.repeat(50))
  await half.ended()

  expect(half.reset).toBe('protocol')
})

test.each([
  ['a request that did not ask', requestTo('/'), 'HTTP/1.1 101 S\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n'],
  ['a request that did, without Upgrade', requestTo('/', 'GET', 'Upgrade', 'x'), 'HTTP/1.1 101 S\r\n\r\n'],
])('refuses a 101 to %s', async (_name, request, answer) => {
  await using client = await startCodecClient()
  const half = client.get(request)
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(answer)
  await half.ended()

  expect(half.log).toEqual(['reset protocol'])
})

test.each([
  ['two lengths', 'Content-Length: 2\r\nContent-Length: 3\r\n\r\nok'],
  ['two equal lengths', 'Content-Length: 2\r\nContent-Length: 2\r\n\r\nok'],
  ['a length with chunks', 'Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
  ['a length that is no number', 'Content-Length: 2a\r\n\r\nok'],
  ['another coding', 'Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n'],
  ['a bare CR', 'X: a\rb\r\nContent-Length: 2\r\n\r\nok'],
  ['a bare LF', 'X: a\nSet-Cookie: b\r\nContent-Length: 2\r\n\r\nok'],
  ['NUL', 'X: a\0\r\nContent-Length: 2\r\n\r\nok'],
  ['a folded field', 'X: a\r\n b\r\nContent-Length: 2\r\n\r\nok'],
  ['a blank before the colon', 'Content-Length : 2\r\n\r\nok'],
  ['too many fields', `${'X: a\r\n'.repeat(101)}\r\n`],
  ['too large a head', `X: ${'a'.repeat(70_000)}\r\n\r\n`],
])('refuses an answer with %s', async (_name, rest) => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(`HTTP/1.1 200 OK\r\n${rest}`)
  await half.ended()
  await client.isGone()

  expect(half.log).toEqual(['reset protocol'])
  expect(client.idle).toBe(0)
})

test.each([
  ['no HTTP', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
  ['HTTP/2.0', 'HTTP/2.0 200 OK\r\n\r\n'],
  ['a status of two digits', 'HTTP/1.1 20 OK\r\n\r\n'],
  ['a status of four digits', 'HTTP/1.1 2000 OK\r\n\r\n'],
  ['a status below 100', 'HTTP/1.1 099 OK\r\n\r\n'],
  ['two blanks before the status', 'HTTP/1.1  200 OK\r\n\r\n'],
  ['a bare LF after the status line', 'HTTP/1.1 200 OK\nX: a\r\n\r\n'],
  ['a NUL in the reason', 'HTTP/1.1 200 O\0K\r\n\r\n'],
  ['chunks on HTTP/1.0', 'HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'],
])('refuses an answer that begins with %s', async (_name, answer) => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(answer)
  await half.ended()

  expect(half.log).toEqual(['reset protocol'])
})

test.each([
  ['a size that is no number', 'x\r\n'],
  ['a bare LF', '1\na'],
  ['data longer than its size', '1\r\nab\r\n'],
  ['a length in the trailers', '0\r\nContent-Length: 1\r\n\r\n'],
])('refuses chunks with %s after the head has passed', async (_name, chunks) => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunks}`)
  await half.ended()

  expect(half.log[0]).toBe('head')
  expect(half.reset).toBe('protocol')
})

test('bytes behind an answer end the connection: they would be the next answer', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(`${OK}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`)
  await half.ended()
  await client.isGone()

  expect(half.body).toBe('ok')
  expect(client.idle).toBe(0)
  expect(client.connection.isIdle).toBe(false)
})

test('bytes on an idle connection end it', async () => {
  await using client = await startCodecClient()
  client.peer.send('HTTP/1.1 408 Request Timeout\r\nConnection: close\r\n\r\n')
  await client.isGone()

  expect(client.gone).toBe(1)
  expect(client.connection.isIdle).toBe(false)
})

test('the end of an idle connection is told once, and no request starts on it', async () => {
  await using client = await startCodecClient()
  client.peer.socket.end()
  await client.isGone()
  const half = client.get()
  await half.ended()

  expect(half.log).toEqual(['reset closed'])
  expect(client.gone).toBe(1)
})

test('a request on a connection that the peer has just closed ends as closed', async () => {
  await using client = await startCodecClient()
  const first = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(OK)
  await first.ended()
  client.peer.socket.resetAndDestroy()
  await once(client.peer.socket, 'close')
  const half = client.get()
  await half.ended()

  expect(half.log).toEqual(['reset closed'])
})

test.each([
  ['before the answer', ''],
  ['in the head', 'HTTP/1.1 200 O'],
  ['in a body of known length', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nab'],
  ['in a chunked body', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab'],
  ['before the last chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n'],
  ['in the trailers', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: a\r\n'],
])('a connection that ends %s is reset as closed', async (_name, part) => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.socket.end(part, 'latin1')
  await half.ended()

  expect(half.reset).toBe('closed')
  expect(half.log).not.toContain('data end')
})

test('a connection cut by a reset never makes an answer without length look complete', async () => {
  await using client = await startCodecClient()
  const half = client.get()
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send('HTTP/1.1 200 OK\r\n\r\npart')
  await half.until(() => half.body === 'part')
  client.peer.socket.resetAndDestroy()
  await half.ended()

  expect(half.reset).toBe('closed')
})

test('giving a request up before it has ended closes the connection, and nothing more is told', async () => {
  await using client = await startCodecClient()
  const half = client.open()
  half.stream.sendHead(requestTo('/', 'POST', 'Content-Length', '4'), false)
  await client.peer.untilIncludes('\r\n\r\n')
  client.peer.send(OK)
  await half.ended()
  half.stream.reset('cancel')
  await client.isGone()

  expect(half.log).toEqual(['head', 'data end'])
  expect(client.idle).toBe(0)
})

test.each([
  ['a blank in the path', requestTo('/a b')],
  ['a line break in the path', requestTo('/ HTTP/1.1\r\nX: a')],
  ['a fragment in the path', requestTo('/#a')],
  ['an empty path', requestTo('')],
  ['a line break in the authority', [...requestTo('/').with(5, 'a\r\nX: b')]],
  ['a method in lower case', requestTo('/', 'get')],
  ['a line break in the method', requestTo('/', 'GET / HTTP/1.1\r\nX')],
  ['CONNECT', requestTo('/', 'CONNECT')],
  ['a line break in a value', requestTo('/', 'GET', 'X', 'a\r\nY: b')],
  ['a line break in a name', requestTo('/', 'GET', 'X: a\r\nY', 'b')],
  ['two lengths', requestTo('/', 'GET', 'Content-Length', '0', 'Content-Length', '0')],
  ['a length without its body', requestTo('/', 'POST', 'Content-Length', '3')],
])('refuses to write %s', async (_name, fields) => {
  await using client = await startCodecClient()
  const half = client.get(fields)
  await half.ended()

  expect(half.log).toEqual(['reset internal'])
  expect(await client.peer.untilEnd()).toBe('')
})
