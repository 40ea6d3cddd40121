import { createServer, request as httpRequest, type IncomingMessage } from 'node:http'
import { connect, createServer as createTcpServer, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { CLIENT_ID, type Pair, type PairOptions, portOf, SERVER_ID, startPair } from '../support/pair.ts'

const open: { close(): void }[] = []
const pairs: Pair[] = []
afterEach(async () => {
  for (const pair of pairs.splice(0)) await pair[Symbol.asyncDispose]()
  for (const server of open.splice(0)) server.close()
})

async function httpApp(answer: (request: IncomingMessage, body: string) => string): Promise<number> {
  const server = createServer(async (request, response) => {
    const body = Buffer.concat(await request.toArray()).toString()
    response.setHeader('x-app', 'yes')
    response.end(answer(request, body))
  })
  open.push({ close: () => server.closeAllConnections() }, server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return portOf(server)
}

async function tcpApp(onConnection: (socket: Socket) => void): Promise<number> {
  const sockets = new Set<Socket>()
  const server = createTcpServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    onConnection(socket)
  })
  open.push({ close: () => void [...sockets].map((socket) => socket.destroy()) }, server)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return portOf(server)
}

async function pairFor(options: PairOptions): Promise<Pair> {
  const pair = await startPair(options)
  pairs.push(pair)
  return pair
}

const call = (pair: Pair, path: string, init: RequestInit = {}) => fetch(`http://127.0.0.1:${pair.port}${path}`, init)

function tcpTo(port: number): Socket {
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  socket.on('error', () => {})
  open.push({ close: () => socket.destroy() })
  return socket
}

const bytesOf = (socket: Socket, atLeast: number) =>
  new Promise<string>((resolve) => {
    let text = ''
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.length >= atLeast) resolve(text)
    })
  })

/** On a busy machine a client may be silent for so long that the server is let speak first. */
const DECLARED = { protocol: 'http' } as const

describe('HTTP/1.1 through two sidecars', () => {
  test('requests pass over mutual TLS and both ends know each other', async () => {
    const pair = await pairFor({
      application: await httpApp((request, body) => `${request.method} ${request.url} ${body}`),
      config: DECLARED,
    })

    const response = await call(pair, '/a%20b?c=d', { method: 'POST', body: 'hello' })

    expect([response.status, response.headers.get('x-app'), await response.text()]).toEqual([
      200,
      'yes',
      'POST /a%20b?c=d hello',
    ])
    expect(pair.events.client).toMatchObject([{ kind: 'request', status: 200, peer: SERVER_ID, attempts: 1 }])
    expect(pair.events.server).toMatchObject([{ kind: 'request', status: 200, peer: CLIENT_ID, requestBytes: 5 }])
  })

  test('a body of 20 MiB arrives as it was sent, both ways', async () => {
    const pair = await pairFor({ application: await httpApp((_request, body) => body) })
    const body = 'abcdefghij'.repeat(2 << 20)

    const response = await call(pair, '/', { method: 'PUT', body })

    expect((await response.text()) === body).toBe(true)
  })

  test('one connection carries many requests, and so does the one between the sidecars', async () => {
    const pair = await pairFor({ application: await httpApp((request) => request.url ?? ''), config: DECLARED })
    for (let i = 0; i < 50; i++) expect(await (await call(pair, `/${i}`)).text()).toBe(`/${i}`)

    expect(pair.events.client.filter((event) => event.kind === 'request')).toHaveLength(50)
    expect(pair.events.server.filter((event) => event.kind === 'connection')).toHaveLength(0)
  })

  test('an application that is not there is a 503 with its reason', async () => {
    const pair = await pairFor({ application: 1 })

    const response = await call(pair, '/')

    expect([response.status, response.headers.get('x-weft-reason')]).toEqual([503, 'CONNECT_FAILED'])
  })

  test('an endpoint with another identity than discovery holds is never spoken to', async () => {
    const pair = await pairFor({ application: await httpApp(() => 'secret') })
    const [endpoint] = pair.endpoints.current
    if (endpoint === undefined) throw new Error('no endpoint')
    pair.endpoints.set([{ ...endpoint, identity: CLIENT_ID as typeof endpoint.identity }])

    const response = await call(pair, '/')

    expect([response.status, response.headers.get('x-weft-reason')]).toEqual([503, 'PEER_IDENTITY'])
    expect(pair.events.server.filter((event) => event.kind === 'request')).toEqual([])
  })

  test('an upgrade becomes a tunnel', async () => {
    const server = createServer()
    server.on('upgrade', (_request, socket) => {
      socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n')
      socket.on('error', () => {})
      socket.pipe(socket)
    })
    open.push(server)
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const pair = await pairFor({ application: portOf(server) })
    const upgraded = await new Promise<Socket>((resolve) => {
      const headers = { connection: 'Upgrade', upgrade: 'echo' }
      const request = httpRequest({ port: pair.port, host: '127.0.0.1', headers })
      request.on('upgrade', (_response, socket) => resolve(socket as Socket)).end()
    })
    open.push({ close: () => upgraded.destroy() })
    upgraded.write('ping')

    expect(await bytesOf(upgraded, 4)).toBe('ping')
  })

  test('a change of configuration closes no connection', async () => {
    const pair = await pairFor({
      application: await tcpApp((socket) => socket.pipe(socket)),
      config: { protocol: 'opaque' },
    })
    const socket = tcpTo(pair.port)
    socket.write('before')
    expect(await bytesOf(socket, 6)).toBe('before')
    for (let i = 0; i < 100; i++) pair.destination.set({ ...pair.destination.current })
    pair.endpoints.set([])
    socket.removeAllListeners('data')
    socket.write('after')

    expect(await bytesOf(socket, 5)).toBe('after')
  })
})

describe('other protocols through two sidecars', () => {
  test('a server that speaks first is heard within the silence limit', async () => {
    const application = await tcpApp((socket) => socket.end('220 hello\r\n'))
    const took: number[] = []
    for (let tried = 0; tried < 5; tried++) {
      // New each time, as a sidecar remembers who speaks first.
      const pair = await pairFor({ application, silenceMs: 20 })
      const startedAt = performance.now()
      expect(await bytesOf(tcpTo(pair.port), 11)).toBe('220 hello\r\n')
      took.push(performance.now() - startedAt)
    }
    // What the least took is the sidecars' wait; the rest is that for a processor.
    expect(Math.min(...took)).toBeLessThan(600)
  })

  test('the half of a client that has ended leaves the answer open', async () => {
    const pair = await pairFor({
      application: await tcpApp((socket) => {
        const chunks: Buffer[] = []
        socket.on('data', (chunk: Buffer) => chunks.push(chunk))
        socket.on('end', () => socket.end(`got ${Buffer.concat(chunks).toString()}`))
      }),
      config: { protocol: 'opaque' },
    })
    const socket = tcpTo(pair.port)
    socket.end('all of it')

    expect(await bytesOf(socket, 13)).toBe('got all of it')
  })
})

describe('a service with internalTrafficPolicy: Local that has no endpoint on this node', () => {
  const service = { namespace: 'shop', name: 'catalog', port: 8080 }
  const policy = { algorithm: 'RoundRobin', connectTimeoutMs: 5000, consecutiveFailures: 5, from: [] } as const
  const backends = [{ key: 'shop/catalog:8080', service, isLocalOnly: true, policy }]

  test('answers requests with the reason', async () => {
    const pair = await pairFor({ application: await httpApp(() => 'hi'), config: { backends } })
    pair.endpoints.set([])
    const response = await call(pair, '/')
    expect([response.status, response.headers.get('x-weft-reason')]).toEqual([503, 'NO_LOCAL_ENDPOINT'])
  })

  test('ends bytes with the reason', async () => {
    const application = await tcpApp((socket) => socket.end('hi'))
    const pair = await pairFor({ application, config: { protocol: 'opaque', backends } })
    pair.endpoints.set([])
    const socket = tcpTo(pair.port)
    await new Promise((resolve) => socket.once('close', resolve))
    expect(pair.events.client).toMatchObject([{ kind: 'connection', reason: 'NO_LOCAL_ENDPOINT' }])
  })
})

describe('a server that is Strict', () => {
  test('refuses bytes without mutual TLS and the application sees nothing', async () => {
    let isReached = false
    const pair = await pairFor({
      application: await tcpApp(() => {
        isReached = true
      }),
    })
    const socket = tcpTo(pair.inboundPort)
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n')
    await closed

    expect(isReached).toBe(false)
    expect(pair.events.server).toMatchObject([{ kind: 'connection', reason: 'STRICT_MTLS' }])
  })

  test('Permissive lets the same bytes in', async () => {
    const pair = await pairFor({ application: await httpApp(() => 'hi'), workload: { mtls: 'Permissive' } })

    const response = await fetch(`http://127.0.0.1:${pair.inboundPort}/`)

    expect(await response.text()).toBe('hi')
    expect(pair.events.server).toMatchObject([{ kind: 'request', peer: null, status: 200 }])
  })
})
