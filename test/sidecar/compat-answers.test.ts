// What applications answer. The engine is for what they ask: of an answer Node's client takes no more than ours does, so nothing would be
// won by using it towards a server without a sidecar. Should that change, this notices (docs/compat.md says so).
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { expect, test } from 'vitest'
import type { HttpClientConnection } from '#flow/stream.ts'
import { connectCompat } from '../../sidecar/compat/http1-client.ts'
import { connectHttp1 } from '../../sidecar/http1/client.ts'
import { portOf, startPair } from '../support/pair.ts'

/** The status and the body of the answer to a GET, or how it was refused. */
async function read(answer: string, open: (stream: Duplex) => HttpClientConnection): Promise<string> {
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    socket.on('error', () => {})
    socket.once('data', () => socket.end(answer, 'latin1'))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  try {
    const { port } = server.address() as { port: number }
    const socket = connect(port, '127.0.0.1')
    sockets.push(socket)
    await once(socket, 'connect')
    return await ask(open(socket))
  } finally {
    for (const socket of sockets) socket.destroy()
    server.close()
  }
}

function ask(connection: HttpClientConnection): Promise<string> {
  let log = ''
  return new Promise((resolve) => {
    const stream = connection.open({
      onHead(fields, end) {
        log += `${fields[1]} `
        if (end) resolve(log)
      },
      onData(bytes, from, to, end) {
        log += Buffer.from(bytes.subarray(from, to)).toString('latin1')
        if (end) resolve(log)
      },
      onTrailers: () => resolve(`${log} and trailers`),
      onReset: (code) => resolve(`${log}reset ${code}`),
      onDrain() {},
    })
    stream.sendHead([':method', 'GET', ':scheme', 'http', ':authority', 'a', ':path', '/'], true)
  })
}

const LENGTH = 'Content-Length: 2\r\n'
const CHUNKED = 'Transfer-Encoding: chunked\r\n'
const CHUNKS = '\r\n2\r\nok\r\n0\r\n\r\n'
const REFUSED = 'reset protocol'

test.each([
  ['no reason phrase', `HTTP/1.1 200\r\n${LENGTH}\r\nok`, '200 ok'],
  ['bytes beyond ASCII', `HTTP/1.1 200 \xe9\r\nX: \xe9\r\n${LENGTH}\r\nok`, '200 ok'],
  ['an empty line before it', `\r\nHTTP/1.1 200 OK\r\n${LENGTH}\r\nok`, '200 ok'],
  ['a status that nobody knows', `HTTP/1.1 999 OK\r\n${LENGTH}\r\nok`, '999 ok'],
  ['a field of 40 KB', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(40_000)}\r\n${LENGTH}\r\nok`, '200 ok'],
  ['an extension of a chunk', `HTTP/1.1 200 OK\r\n${CHUNKED}\r\n2;a=b\r\nok\r\n0\r\n\r\n`, '200 ok'],
  ['no framing', 'HTTP/1.0 200 OK\r\n\r\nok', '200 ok'],
  ['lines that end in LF', 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok', REFUSED],
  ['one line that ends in LF', `HTTP/1.1 200 OK\r\nX: 1\n${LENGTH}\r\nok`, REFUSED],
  ['chunks on HTTP/1.0', `HTTP/1.0 200 OK\r\n${CHUNKED}${CHUNKS}`, REFUSED],
  ['chunks that end in LF', `HTTP/1.1 200 OK\r\n${CHUNKED}\r\n2\nok\n0\n\n`, `200 ${REFUSED}`],
  ['a folded field', `HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n${LENGTH}\r\nok`, REFUSED],
  ['two lengths', `HTTP/1.1 200 OK\r\n${LENGTH}${LENGTH}\r\nok`, REFUSED],
  ['a length with a sign', 'HTTP/1.1 200 OK\r\nContent-Length: +2\r\n\r\nok', REFUSED],
  ['a length beside chunks', `HTTP/1.1 200 OK\r\n${LENGTH}${CHUNKED}${CHUNKS}`, REFUSED],
  ['a coding that is none', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: identity\r\n\r\nok', REFUSED],
  ['a control character', `HTTP/1.1 200 OK\r\nX: \x01\r\n${LENGTH}\r\nok`, REFUSED],
  ['a blank behind a name', `HTTP/1.1 200 OK\r\nX : 1\r\n${LENGTH}\r\nok`, REFUSED],
  ['two blanks before the status', `HTTP/1.1  200 OK\r\n${LENGTH}\r\nok`, REFUSED],
  ['150 fields', `HTTP/1.1 200 OK\r\n${'X: 1\r\n'.repeat(150)}${LENGTH}\r\nok`, REFUSED],
])('an answer with %s is read as our own client reads it', async (_, answer, expected) => {
  expect([await read(answer, connectHttp1), await read(answer, connectCompat)]).toEqual([expected, expected])
})

test('an answer that no engine takes is a 502 from a server without a sidecar, and comes as bytes where its port is opaque', async () => {
  const lines = 'HTTP/1.1 200 OK\nContent-Length: 2\n\nok'
  await using server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => socket.end(lines))
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const port = portOf(server)
  await using pair = await startPair({ application: port, config: { protocol: 'http', engine: 'compat' } })
  pair.endpoints.set([{ address: { host: '127.0.0.1', port }, weight: 1, identity: null, pod: 'device-0' }])
  const received = async () => {
    const socket = connect(pair.port, '127.0.0.1')
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n')
    return (await socket.toArray()).join('')
  }

  expect(await received()).toMatch(/^HTTP\/1\.1 502 .*\r\nx-weft-reason: UPSTREAM_PROTOCOL\r\n/s)
  pair.destination.set({ ...pair.destination.current, protocol: 'opaque' })
  expect(await received()).toBe(lines)
})
