// The Compat engine on a port: at the caller's sidecar and at the application's, with the strict codecs between them.
import { once } from 'node:events'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import { type Pair, portOf, startPair } from '../support/pair.ts'

const closers: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close()
})

/** Answers every request with its bytes as they came, up to the end of its head or of a body of 2 bytes. */
async function bytesApp(answer: (heard: string) => string): Promise<{ port: number; heard: string[] }> {
  const heard: string[] = []
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    sockets.push(socket)
    let text = ''
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const end = /content-length: 2\r\n/i.test(text) ? '\r\n\r\nok' : '\r\n\r\n'
      if (!text.includes(end)) return
      heard.push(text)
      socket.write(answer(text), 'latin1')
      text = ''
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closers.push(
    () => server.close(),
    () => sockets.map((socket) => socket.destroy()),
  )
  return { port: portOf(server), heard }
}

const OK = 'HTTP/1.1 200 OK\r\nX-App: Yes\r\nContent-Length: 2\r\n\r\nok'

async function compatPair(application: number): Promise<Pair> {
  const port = { port: application, protocol: 'http', service: 'shop/catalog', engine: 'compat' } as const
  const pair = await startPair({ application, config: { engine: 'compat' }, workload: { ports: [port] } })
  closers.push(() => pair[Symbol.asyncDispose]())
  return pair
}

async function exchange(port: number, text: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let received = ''
  socket.on('data', (chunk) => {
    received += chunk.toString('latin1')
  })
  socket.on('error', () => {})
  socket.write(text, 'latin1')
  await once(socket, 'close')
  return received
}

const CLOSE = 'Connection: close\r\n\r\n'

test('a request that our codec refuses arrives as one that nobody could misread, with Host, order and case kept', async () => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)
  const request = `POST /a?b HTTP/1.1\r\nHost: Shop:80\r\nHost: other\r\nX-One: 1\r\nx-TWO: 2\r\nContent-Length: 2\r\n${CLOSE}ok`

  const answer = await exchange(pair.port, request)

  expect(answer).toMatch(/^HTTP\/1\.1 200 OK\r\nX-App: Yes\r\n.*\r\n\r\nok$/s)
  expect(app.heard).toHaveLength(1)
  const names = app.heard[0]?.split('\r\n').slice(0, 4)
  expect(names).toEqual(['POST /a?b HTTP/1.1', 'Host: Shop:80', 'X-One: 1', 'x-TWO: 2'])
  expect(pair.events.client).toMatchObject([{ kind: 'request', status: 200, reason: null }])
})

test('without the engine the same request is refused', async () => {
  const app = await bytesApp(() => OK)
  const pair = await startPair({ application: app.port })
  closers.push(() => pair[Symbol.asyncDispose]())

  expect(await exchange(pair.port, `GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n${CLOSE}`)).toContain('BAD_REQUEST')
  expect(app.heard).toEqual([])
})

test.each([
  ['a body of GET', `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n${CLOSE}ok`, '400', 'COMPAT_BODY'],
  [
    'gRPC',
    `POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/grpc\r\nContent-Length: 2\r\n${CLOSE}ok`,
    '501',
    'COMPAT_GRPC',
  ],
])('%s is refused with its reason, and the application hears nothing', async (_name, request, status, reason) => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)

  const answer = await exchange(pair.port, request)

  expect(answer).toContain(`HTTP/1.1 ${status}`)
  expect(answer).toContain(`x-weft-reason: ${reason}`)
  expect(app.heard).toEqual([])
})

test('HTTP/2 of the caller reaches the application as HTTP/1.1', async () => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)
  const client = connectHttp2(`http://127.0.0.1:${pair.port}`)
  closers.push(() => client.destroy())
  const call = client.request({
    ':method': 'POST',
    ':path': '/a',
    ':authority': 'shop',
    'content-length': '2',
    cookie: ['a=1', 'b=2'],
  })
  call.end('ok')

  const [headers] = await once(call, 'response')
  expect(headers).toMatchObject({ ':status': 200, 'x-app': 'Yes' })
  expect((await call.toArray()).join('')).toBe('ok')
  expect(app.heard[0]).toMatch(/^POST \/a HTTP\/1\.1\r\nHost: shop\r\n/)
  expect(app.heard[0]).toMatch(/\r\ncookie: a=1; b=2\r\n/)
})

test('a WebSocket works', async () => {
  const server = new WebSocketServer({ port: 0, host: '127.0.0.1' })
  await once(server, 'listening')
  closers.push(() => server.close())
  server.on('connection', (socket) => socket.on('message', (text) => socket.send(`echo ${text}`)))
  const pair = await compatPair((server.address() as { port: number }).port)
  const client = new WebSocket(`ws://127.0.0.1:${pair.port}/`)
  closers.push(() => client.terminate())
  await once(client, 'open')
  client.send('a'.repeat(100_000))

  const [message] = await once(client, 'message')
  expect(String(message)).toBe(`echo ${'a'.repeat(100_000)}`)
  client.close()
  await once(client, 'close')
})

test('an idle connection to the application is used again, and one that it has closed costs nobody an answer', async () => {
  let isClosing = false
  const app = await bytesApp(() => (isClosing ? OK.replace('X-App', 'Connection: close\r\nX-App') : OK))
  const pair = await compatPair(app.port)
  for (let i = 0; i < 6; i++) {
    isClosing = i === 2
    expect(await exchange(pair.port, `GET /${i} HTTP/1.1\r\nHost: a\r\n${CLOSE}`)).toContain('HTTP/1.1 200 OK')
  }
  expect(app.heard).toHaveLength(6)
})
