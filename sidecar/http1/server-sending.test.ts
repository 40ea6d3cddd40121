import { expect, test } from 'vitest'
import { NEVER_INDEXED } from '#flow/stream.ts'
import { echo, RawClient, startCodecServer } from './testing.ts'
import { get, ok, send } from './testing-messages.ts'

test('a paused request stops the client, and goes on when resumed', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  const size = 64 * 1024 * 1024
  client.send(`POST / HTTP/1.1\r\nHost: shop\r\nContent-Length: ${size}\r\n\r\n`)
  const request = await server.request(0)
  request.stream.pause()
  let received = 0
  request.onData = (_bytes, from, to, end) => {
    received += to - from
    if (end) echo(request)
  }
  const chunk = Buffer.alloc(1024 * 1024)
  for (let sent = 0; sent < size; sent += chunk.length) client.socket.write(chunk)
  for (let turn = 0; turn < 500; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  expect(received).toBeLessThan(1024 * 1024)

  request.stream.resume()
  await client.untilIncludes('POST /')
  expect(received).toBe(size)
})

test('sendData says when to stop, and onDrain when to go on', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.socket.pause()
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(ok(), false)
  const chunk = Buffer.alloc(1024 * 1024, 'x')
  let sent = 0
  let goOn = true
  while (goOn && sent < 256) {
    goOn = request.stream.sendData(chunk, 0, chunk.length, false)
    sent++
    chunk.fill(120 + (sent % 2))
  }
  expect(sent).toBeLessThan(256)

  client.socket.resume()
  await request.until(() => request.drains > 0)
  request.stream.sendData(chunk, 0, 0, true)
  const body = (await client.untilIncludes('0\r\n\r\n')).split('\r\n\r\n')[1] ?? ''
  expect(body.length).toBeGreaterThan(sent * chunk.length)
  // Each chunk as it was when it was handed over, though its buffer was filled anew since.
  const order = body.replaceAll('100000\r\n', '').replaceAll('\r\n', '').replace(/0$/, '').match(/x+|y+/g)
  expect(order?.map((run) => `${run[0]}${run.length}`)).toEqual(
    Array.from({ length: sent }, (_, i) => `${'xy'[i % 2]}${chunk.length}`),
  )
})

// Small pieces leave as text and large ones from a buffer of 64 KiB: neither may overtake the other.
test.each([
  ['small before large', [10, 20_000]],
  ['large before small', [20_000, 10, 20_000]],
  ['what just fills the buffer, and what just does not', [65_000, 10, 65_536, 65_535, 1, 8192, 8193]],
  ['what fills it several times', [300_000, 5, 140_000]],
  ['a long head', [100_000], 70_000],
])('%s: a chunked body arrives in its order, with its trailers', async (_, sizes, headBytes = 1) => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(ok('A', 'h'.repeat(headBytes)), false)
  const pieces = sizes.map((size, i) => String.fromCharCode(97 + i).repeat(size))
  for (const piece of pieces) send(request, piece, false)
  request.stream.sendTrailers(['Late', 'x'])

  const received = await client.untilIncludes('Late: x\r\n\r\n')
  // Where one chunk ends and the next begins is the codec's to choose.
  expect(unchunked(received.slice(received.indexOf('\r\n\r\n') + 4))).toEqual({
    body: pieces.join(''),
    behind: 'Late: x\r\n\r\n',
  })
})

/** A chunked body, and what follows its last chunk. */
function unchunked(text: string): { readonly body: string; readonly behind: string } {
  let body = ''
  let at = 0
  for (;;) {
    const end = text.indexOf('\r\n', at)
    const size = Number.parseInt(text.slice(at, end), 16)
    if (size === 0) return { body, behind: text.slice(end + 2) }
    body += text.slice(end + 2, end + 2 + size)
    at = end + 2 + size
    if (!(size > 0) || text.slice(at, at + 2) !== '\r\n') throw new Error(`no chunk at ${at}`)
    at += 2
  }
}

test('a large piece leaves though nothing follows it', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(ok(), false)
  send(request, 'x'.repeat(20_000), false)

  await client.untilIncludes(`${'x'.repeat(20_000)}\r\n`)
})

test('what no HPACK table may hold is a word of HTTP/2: HTTP/1.1 sends its fields and not the word', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  request.stream.sendHead([':status', '200', 'x-key', 'a', NEVER_INDEXED, 'x-key'], false)
  request.stream.sendTrailers(['x-sum', '1', NEVER_INDEXED, 'x-sum'])
  const received = await client.untilIncludes('x-sum: 1\r\n\r\n')

  expect(received).toContain('x-key: a\r\n')
  expect(received).not.toContain('never-indexed')
})

test('a late call of a former exchange does not touch the next one', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/1') + get('/2'))
  const first = await server.request(0)
  await first.ended()
  echo(first)
  const second = await server.request(1)
  await second.ended()
  first.stream.reset('cancel')
  first.stream.pause()
  first.stream.sendHead(ok(), true)
  send(first, 'late', true)
  echo(second)

  expect(await client.untilIncludes('GET /2')).not.toContain('late')
  client.send(get('/3'))
  await server.request(2)
})

test.each([
  ['a line break in a value', ok('X', 'a\r\nSet-Cookie: b'), true],
  ['a bare LF in a value', ok('X', 'a\nb'), true],
  ['NUL in a value', ok('X', 'a\0'), true],
  ['a line break in a name', ok('X: a\r\nY', 'b'), true],
  ['a colon in a name', ok('X:', 'b'), true],
  ['an empty name', ok('', 'b'), true],
  ['a character beyond Latin-1', ok('X', '\u{20ac}'), true],
  ['two lengths', ok('Content-Length', '1', 'content-length', '1'), false],
  ['a length that is no number', ok('Content-Length', '1, 1'), false],
  ['a length without its body', ok('Content-Length', '1'), true],
  ['no status', ['X', 'a'], true],
  ['a status of four digits', [':status', '2000'], true],
])('refuses to write %s', async (_name, fields, end) => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(fields, end)
  await request.until(() => request.reset !== null)

  expect(request.reset).toBe('internal')
  expect(await client.untilEnd()).toBe('')
})

test.each([
  ['longer', 'abcd', false],
  ['shorter', 'ab', true],
])('refuses to send a body %s than its Content-Length', async (_name, body, end) => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/') + get('/next'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(ok('Content-Length', '3'), false)
  send(request, body, end)
  await request.until(() => request.reset !== null)

  expect(request.reset).toBe('internal')
  expect(await client.untilEnd()).not.toContain(body)
  expect(server.requests).toHaveLength(1)
})

test('framing fields and Connection that are handed over are replaced by our own', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(get('/'))
  const request = await server.request(0)
  await request.ended()
  request.stream.sendHead(ok('Transfer-Encoding', 'gzip', 'Connection', 'X', 'Keep-Alive', 'timeout=1', 'X', 'a'), true)

  expect(await client.untilIncludes('\r\n\r\n')).toBe('HTTP/1.1 200 OK\r\nX: a\r\nContent-Length: 0\r\n\r\n')
})
