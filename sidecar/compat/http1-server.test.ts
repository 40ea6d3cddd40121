// What is the Compat engine's own. All else is held by the tests of http1/ (test/sidecar/compat-suite.test.ts).
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import type { Fields, HttpStream } from '#flow/stream.ts'
import { createCompatServer } from './http1-server.ts'

/** Answers each request with its target and authority; tells what was refused. */
async function startServer(headTimeoutMs?: number) {
  const compat = createCompatServer(headTimeoutMs)
  const refused: string[] = []
  const heads: Fields[] = []
  const sockets: Socket[] = []
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket)
    compat.serve(socket, null, {
      accept: (stream) => answerEach(stream, heads),
      onRefused: (code) => refused.push(code),
      onClose: () => {},
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    refused,
    heads,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

function answerEach(stream: HttpStream, heads: Fields[]): void {
  let body = ''
  const answer = () => {
    const head = heads.at(-1) ?? []
    const text = Buffer.from(`${head[5]} ${head[7]} ${body}`)
    stream.sendHead([':status', '200', 'Content-Length', String(text.length)], false)
    stream.sendData(text, 0, text.length, true)
  }
  stream.events = {
    onHead(fields, end) {
      heads.push(fields)
      if (end) answer()
    },
    onData(bytes, from, to, end) {
      body += Buffer.from(bytes.subarray(from, to)).toString()
      if (end) answer()
    },
    onTrailers: answer,
    onReset() {},
    onDrain() {},
  }
}

async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', (chunk: Buffer) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.write(text, 'latin1')
  await once(socket, 'close')
  return received
}

const CLOSE = 'Connection: close\r\n\r\n'

test.each([
  ['no Host', `GET /a HTTP/1.1\r\n${CLOSE}`, ' /a '],
  ['two Hosts, of which the first counts', `GET /a HTTP/1.1\r\nHost: one\r\nHost: two\r\n${CLOSE}`, 'one /a '],
  [
    'identity, chunked',
    `POST /a HTTP/1.1\r\nHost: one\r\nTransfer-Encoding: identity, chunked\r\n${CLOSE}2\r\nok\r\n0\r\n\r\n`,
    'one /a ok',
  ],
  [
    'chunks on HTTP/1.0',
    'POST /a HTTP/1.0\r\nHost: one\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n',
    'one /a ok',
  ],
])('takes %s, which our own codec refuses', async (_name, text, body) => {
  await using server = await startServer()

  expect(await exchange(server.port, text)).toContain(`\r\n\r\n${body}`)
  expect(server.refused).toEqual([])
})

test('of several Hosts one travels, and of codings none', async () => {
  await using server = await startServer()
  await exchange(
    server.port,
    `POST / HTTP/1.1\r\nHost: one\r\nHost: two\r\nX-Case: Kept\r\nTransfer-Encoding: chunked\r\n${CLOSE}0\r\n\r\n`,
  )

  expect(server.heads).toEqual([
    [':method', 'POST', ':scheme', 'http', ':authority', 'one', ':path', '/', 'X-Case', 'Kept', 'Connection', 'close'],
  ])
})

test.each([
  [
    'a length and chunks',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    'BAD_REQUEST',
  ],
  ['two lengths', 'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 'BAD_REQUEST'],
  [
    'a length that a number cannot hold',
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9007199254740993\r\n\r\n',
    'BAD_REQUEST',
  ],
  [
    'a coding that nobody undoes',
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
    'BAD_REQUEST',
  ],
  ['Content_Length', 'POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 5\r\n\r\n', 'BAD_REQUEST'],
  ['Transfer_Encoding', 'POST / HTTP/1.1\r\nHost: a\r\nTransfer_Encoding: chunked\r\n\r\n', 'BAD_REQUEST'],
  ['a folded field', 'GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n', 'BAD_REQUEST'],
  ['a blank before the colon', 'GET / HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n', 'BAD_REQUEST'],
  ['a Host with user information', 'GET / HTTP/1.1\r\nHost: u@a\r\n\r\n', 'BAD_REQUEST'],
  ['a byte beyond ASCII in the target', 'GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n', 'BAD_REQUEST'],
  ['a fragment', 'GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n', 'BAD_REQUEST'],
  ['HTTP/2.0 as text', 'GET / HTTP/2.0\r\nHost: a\r\n\r\n', 'HTTP_VERSION'],
  ['CONNECT', 'CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n', 'CONNECT_REFUSED'],
  ['101 fields', `GET / HTTP/1.1\r\nHost: a\r\n${'X: a\r\n'.repeat(100)}\r\n`, 'HEADER_TOO_LARGE'],
  ['a head beyond 60 KiB', `GET / HTTP/1.1\r\nHost: a\r\nX: ${'a'.repeat(61 * 1024)}\r\n\r\n`, 'HEADER_TOO_LARGE'],
])('refuses %s, as our own codec does', async (_name, text, code) => {
  await using server = await startServer()

  expect(await exchange(server.port, text)).toContain(`x-weft-reason: ${code}\r\n`)
  expect(server.refused).toEqual([code])
  expect(server.heads).toEqual([])
})

test('trailers that name a Host are refused, with what came behind them', async () => {
  await using server = await startServer()
  const text = await exchange(
    server.port,
    'POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nHost: b\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  )

  expect(text).toContain('x-weft-reason: BAD_REQUEST')
  expect(server.heads.map((head) => head[7])).toEqual(['/'])
  expect(server.refused).toEqual(['BAD_REQUEST'])
})

test('a connection ends with the answer to an upgrade that nobody takes: Node drops what was sent behind it', async () => {
  await using server = await startServer()
  const text = await exchange(
    server.port,
    'GET /1 HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n',
  )

  expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n.*Connection: close\r\n\r\na \/1 $/s)
  expect(server.heads.map((head) => head[7])).toEqual(['/1'])
})

test('what came before a malformed request is answered first', async () => {
  await using server = await startServer()
  const text = await exchange(
    server.port,
    'GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nBAD\r\n\r\n',
  )

  expect(text.match(/a \/\d|x-weft-reason: \w+/g)).toEqual(['a /1', 'a /2', 'x-weft-reason: BAD_REQUEST'])
})

test('a head that does not end in time is refused', async () => {
  await using server = await startServer(200)

  expect(await exchange(server.port, 'GET / HTTP/1.1\r\nHost: a\r\n')).toContain('x-weft-reason: HEAD_TIMEOUT')
})
