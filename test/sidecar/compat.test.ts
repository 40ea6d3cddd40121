// The Compat engine on a port: at the caller's sidecar and at the application's, with the strict codecs between them.
import { once } from 'node:events'
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2'
import { connect, createServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import WebSocket, { WebSocketServer } from 'ws'
import type { WorkloadConfig } from '#shared/decide/config.ts'
import { block, FramePeer, frame } from '../../sidecar/http2/testing-frames.ts'
import { workloadConfig } from '../support/discovery.ts'
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

/** Sends requests one after the other on one connection; `ask` resolves with the answer to each, whose body is 2 bytes. */
async function keptOpen(port: number) {
  const socket = connect(port, '127.0.0.1')
  closers.push(() => socket.destroy())
  socket.on('error', () => {})
  await once(socket, 'connect')
  return {
    async ask(text: string): Promise<string> {
      let received = ''
      socket.write(text, 'latin1')
      while (!/\r\n\r\nok$|x-weft-reason: .*\r\n\r\n/s.test(received)) {
        received += String((await once(socket, 'data'))[0])
      }
      return received
    },
  }
}

const TWO_HOSTS = 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n'
const PLAIN = 'GET / HTTP/1.1\r\nHost: a\r\n\r\n'
const BODY_OF_GET = 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nok'

function setEngine(pair: Pair, engine: 'compat' | undefined): void {
  const { engine: _, ...destination } = pair.destination.current
  const workload = pair.workload.current as WorkloadConfig
  const ports = workload.ports.map(({ engine: __, ...port }) => ({ ...port, ...(engine && { engine }) }))
  pair.workload.set({ ...workload, ports })
  pair.destination.set({ ...destination, ...(engine && { engine }) })
}

test('when the engine changes, connections that are open stay with the one they have, and new ones get the other', async () => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)
  setEngine(pair, undefined)
  const strict = await keptOpen(pair.port)
  expect(await strict.ask(PLAIN)).toContain('200 OK')

  setEngine(pair, 'compat')
  const compat = await keptOpen(pair.port)
  expect(await compat.ask(`${TWO_HOSTS}\r\n`)).toContain('200 OK')
  expect(await strict.ask(PLAIN)).toContain('200 OK')
  expect(await strict.ask(`${TWO_HOSTS}\r\n`)).toContain('x-weft-reason: BAD_REQUEST')

  setEngine(pair, undefined)
  expect(await exchange(pair.port, TWO_HOSTS + CLOSE)).toContain('x-weft-reason: BAD_REQUEST')
  expect(await compat.ask(`${TWO_HOSTS}\r\n`)).toContain('200 OK')
})

test('what goes to the application follows the engine of now, also on the connection that sidecars share', async () => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)
  setEngine(pair, undefined)
  const client = await keptOpen(pair.port)
  expect(await client.ask(BODY_OF_GET)).toContain('200 OK')

  setEngine(pair, 'compat')
  expect(await client.ask(PLAIN)).toContain('200 OK')
  expect(await client.ask(BODY_OF_GET)).toContain('x-weft-reason: COMPAT_BODY')

  setEngine(pair, undefined)
  expect(await client.ask(BODY_OF_GET)).toContain('200 OK')
  expect(pair.server.upstreams.stats().shared.opened + pair.client.upstreams.stats().shared.opened).toBe(1)
})

test('a request in flight ends as it began when the engine changes', async () => {
  const held: ((answer: string) => void)[] = []
  const asked = Promise.withResolvers<void>()
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.once('data', () => {
      held.push((answer) => socket.write(answer))
      asked.resolve()
    })
    closers.push(() => socket.destroy())
  }).listen(0, '127.0.0.1')
  closers.push(() => server.close())
  await once(server, 'listening')
  const pair = await compatPair(portOf(server))
  const answer = exchange(pair.port, TWO_HOSTS + CLOSE)
  await asked.promise
  setEngine(pair, undefined)
  held[0]?.(OK)
  expect(await answer).toContain('200 OK')
})

test('a client that said that this is its last request may end its half and still gets the answer', async () => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)
  const socket = connect({ port: pair.port, host: '127.0.0.1', allowHalfOpen: true })
  closers.push(() => socket.destroy())
  socket.end(`GET / HTTP/1.1\r\nHost: a\r\n${CLOSE}`)
  expect((await socket.toArray()).join('')).toMatch(/^HTTP\/1\.1 200 OK\r\n.*\r\n\r\nok$/s)
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

/** Of an answer by HTTP/2: its status, or how the stream ended. */
async function callHttp2(port: number, send: (client: ClientHttp2Session) => ClientHttp2Stream): Promise<unknown> {
  const client = connectHttp2(`http://127.0.0.1:${port}`)
  closers.push(() => client.destroy())
  client.on('error', () => {})
  const call = send(client).resume()
  return new Promise((resolve) => {
    call.on('response', (headers) => resolve(headers[':status'])).on('error', () => resolve('reset'))
  })
}

describe('an answer of which Node would write no such thing ends nothing but its own exchange', () => {
  test.each<[string, string, number | 'reset']>([
    ['a field twice that it has once', 'HTTP/1.1 200 OK\r\nDate: a\r\nDate: b\r\nContent-Length: 0\r\n\r\n', 200],
    ['a status above 599', 'HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n', 'reset'],
    ['hints of two links in a field', `HTTP/1.1 103 E\r\nLink: </a>; rel=x, </b>; rel=y\r\n\r\n${OK}`, 200],
    ['hints that are no links', `HTTP/1.1 103 E\r\nLink: a\r\n\r\n${OK}`, 200],
    ['a field of another HTTP', 'HTTP/1.1 200 OK\r\nHTTP2-Settings: a\r\nTE: b\r\nContent-Length: 0\r\n\r\n', 200],
    [
      'trailers with a field twice',
      'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nDate: a\r\nDate: b\r\nHTTP2-Settings: c\r\n\r\n',
      200,
    ],
  ])('%s', async (_name, said, byHttp2) => {
    const app = await bytesApp(() => said)
    const pair = await compatPair(app.port)

    const [status] = /\d{3}(?= \w+\r\n(?!Link))/.exec(said) ?? []
    expect(await exchange(pair.port, `GET / HTTP/1.1\r\nHost: a\r\n${CLOSE}`)).toMatch(
      new RegExp(`HTTP/1.1 ${status} `),
    )
    expect(await callHttp2(pair.port, (client) => client.request({ ':path': '/' }))).toBe(byHttp2)
    expect(app.heard).toHaveLength(2)
  })
})

test('a trailer with a line feed, which HTTP/2 of Node lets through, goes no further', async () => {
  const app = await bytesApp(() => OK)
  const pair = await compatPair(app.port)
  const port = { port: app.port, protocol: 'http', service: 'shop/catalog', engine: 'compat' } as const
  pair.workload.set({ ...workloadConfig(), mtls: 'Permissive', ports: [port] })
  await using peer = await FramePeer.connect(pair.inboundPort)
  const head = block([':method', 'POST', ':scheme', 'http', ':authority', 'a', ':path', '/', 'content-length', '2'])
  const trailer = Buffer.concat([Buffer.from([0, 1]), Buffer.from('x'), Buffer.from([3]), Buffer.from('a\nb')])
  peer.send(frame(1, 4, 1, head), frame(0, 0, 1, Buffer.from('ok')), frame(1, 5, 1, trailer))

  expect(peer.fieldsOf(await peer.frame(1, 1))[1]).toBe('200')
  expect(app.heard).toHaveLength(1)
  expect(app.heard[0]).not.toContain('a\nb')
})

test('a 101 that nobody asked for ends its exchange, and no more', async () => {
  const app = await bytesApp(() => 'HTTP/1.1 101 S\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nraw')
  const pair = await compatPair(app.port)

  for (let left = 2; left > 0; left--)
    expect(await exchange(pair.port, `GET / HTTP/1.1\r\nHost: a\r\n${CLOSE}`)).toMatch(/^HTTP\/1\.1 502 /)
  expect(await callHttp2(pair.port, (client) => client.request({ ':path': '/' }))).toBe(502)
})
