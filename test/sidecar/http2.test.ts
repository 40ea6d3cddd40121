// HTTP/2 through two sidecars: from the application, between the sidecars, and to the application.
import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { ServerHttp2Stream } from 'node:http2'
import { describe, expect, test } from 'vitest'
import type { Answerer, Http2App } from '../support/http2.ts'
import { clientOf, http1App, http2App, pairFor, shared } from '../support/http2-pair.ts'
import { CLIENT_ID, type Pair, type PairOptions, SERVER_ID } from '../support/pair.ts'

const requests = (events: Pair['events']['client']) => events.filter((event) => event.kind === 'request')

const echo: Answerer = (stream, headers) => {
  stream.respond({ ':status': 200, 'x-path': headers[':path'], 'x-authority': headers[':authority'] })
  stream.pipe(stream)
}

describe('an application that speaks HTTP/2 to one that does', () => {
  test('is served with bodies, trailers and the identities of both', async () => {
    const app = await http2App((stream: ServerHttp2Stream) => {
      stream.respond({ ':status': 201, 'x-app': 'yes' }, { waitForTrailers: true })
      stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sum': '5' }))
      stream.pipe(stream)
    })
    const pair = await pairFor({ application: app.port })
    const client = await clientOf(pair)

    const answer = await client.request({ ':method': 'POST', ':path': '/a?b=c' }, 'hello', { 'x-asked': 'yes' })

    expect(answer).toMatchObject({
      status: 201,
      body: 'hello',
      headers: { 'x-app': 'yes' },
      trailers: { 'x-sum': '5' },
    })
    expect(requests(pair.events.client)).toMatchObject([{ status: 201, version: '2', peer: SERVER_ID, attempts: 1 }])
    expect(requests(pair.events.server)).toMatchObject([
      { status: 201, version: '2', peer: CLIENT_ID, requestBytes: 5 },
    ])
  })

  test('sees a 103 before the answer', async () => {
    const app = await http2App((stream) => {
      stream.additionalHeaders({ ':status': 103, link: '</a>' })
      stream.respond({ ':status': 204 }, { endStream: true })
    })
    const client = await clientOf(await pairFor({ application: app.port }))

    expect(await client.request({ ':path': '/' })).toMatchObject({ status: 204, interim: [103], body: '' })
  })

  test('has the requests of its one connection balanced one by one over two replicas', async () => {
    const counts = [0, 0]
    const apps = await Promise.all(
      [0, 1].map((at) =>
        http2App((stream) => {
          counts[at] = (counts[at] ?? 0) + 1
          stream.respond({ ':status': 200 }, { endStream: true })
        }),
      ),
    )
    const [first, second] = apps as [Http2App, Http2App]
    const client = await clientOf(await pairFor({ application: first.port, replicas: [second.port] }))
    for (let i = 0; i < 20; i++) await client.request({ ':path': `/${i}` })

    expect(counts).toEqual([10, 10])
  })

  test('has a hundred requests at once on one connection between the sidecars', async () => {
    const app = await http2App(echo)
    const pair = await pairFor({ application: app.port })
    const client = await clientOf(pair)

    const answers = await Promise.all(
      Array.from({ length: 100 }, (_, i) => client.request({ ':method': 'POST', ':path': `/${i}` }, `body ${i}`)),
    )

    expect(answers.map(({ body }) => body)).toEqual(answers.map((_, i) => `body ${i}`))
    expect(shared(pair)).toMatchObject({ opened: 1 })
    expect(requests(pair.events.client)).toHaveLength(100)
  })

  test('sends and gets 4 MiB in pieces of the size of a window, whole', async () => {
    const app = await http2App(echo)
    const client = await clientOf(await pairFor({ application: app.port }))
    const stream = client.session.request({ ':method': 'POST', ':path': '/' })
    const received = stream.toArray()
    const piece = Buffer.alloc(64 * 1024, 'x')
    for (let i = 0; i < 64; i++) if (!stream.write(piece)) await new Promise((resolve) => stream.once('drain', resolve))
    stream.end()

    expect(Buffer.concat(await received).length).toBe(4 * 1024 * 1024)
  })

  test('gets a reason from the sidecar where the application is not there', async () => {
    const client = await clientOf(await pairFor({ application: 1 }))
    const answer = await client.request({ ':path': '/' })

    expect(answer.status).toBe(503)
    expect(answer.headers['x-weft-reason']).toBe('CONNECT_FAILED')
  })

  test('is offered no WebSocket by extended CONNECT, and told why when it tries, also where the application would take it', async () => {
    const app = await http2App((stream) => stream.respond({ ':status': 200 }, { endStream: true }), {
      enableConnectProtocol: true,
    })
    const client = await clientOf(await pairFor({ application: app.port }))
    expect(await client.request({ ':path': '/' })).toMatchObject({ status: 200 })
    const chat = client.session.request({ ':method': 'CONNECT', ':protocol': 'websocket', ':path': '/chat' })
    chat.on('error', () => {})
    const closed = new Promise((resolve) => chat.on('close', resolve))
    let why = ''
    chat.on('data', (chunk: Buffer) => {
      why += chunk.toString()
    })
    const [head] = await once(chat, 'response')
    await closed

    expect(client.session.remoteSettings.enableConnectProtocol).toBe(false)
    expect([head[':status'], head['x-weft-reason']]).toEqual([400, 'BAD_REQUEST'])
    expect(why).toContain('extended CONNECT (RFC 8441), which SETTINGS do not offer: open a WebSocket by HTTP/1.1')
    expect(app.sessions()).toBe(1)
  })

  test('cannot speak as a sidecar does', async () => {
    const app = await http1App((request, response) => response.end(JSON.stringify(request.rawHeaders)))
    const client = await clientOf(await pairFor({ application: app, workload: ports(app, '1.1') }))
    const { body } = await client.request({ ':path': '/', 'x-weft-original': '1.1 Content-Length', 'x-b': '1' })

    expect(body).not.toMatch(/x-weft-original|content-length/i)
  })
})

/** What control declares of the application's port. */
function ports(port: number, httpVersion: '1.1' | '2'): NonNullable<PairOptions['workload']> {
  return { ports: [{ port, protocol: 'http', httpVersion, service: 'shop/catalog' }] }
}

describe('HTTP/1.1 at both ends', () => {
  test('travels on one connection between the sidecars, whatever comes at once', async () => {
    const app = await http1App((request, response) => response.end(request.url))
    const pair = await pairFor({ application: app })

    const texts = await Promise.all(
      Array.from({ length: 50 }, async (_, i) => (await fetch(`http://127.0.0.1:${pair.port}/${i}`)).text()),
    )

    expect(texts).toEqual(texts.map((_, i) => `/${i}`))
    expect(shared(pair)).toMatchObject({ opened: 1, connections: 1 })
    expect(requests(pair.events.server)[0]).toMatchObject({ version: '1.1' })
  })

  test('keeps the case and order of field names both ways', async () => {
    const app = await http1App((request, response) => {
      response.writeHead(200, [
        'X-CamelCase',
        '1',
        'x-lower',
        '2',
        'SHOUT',
        '3',
        'X-Names',
        request.rawHeaders.join('|'),
      ])
      response.end()
    })
    const pair = await pairFor({ application: app })
    const raw = await rawAnswer(pair, { 'X-Trace-ID': 'a', lower: 'b', 'UPPER-Case': 'c' })

    expect(raw.filter((_, at) => at % 2 === 0).slice(0, 3)).toEqual(['X-CamelCase', 'x-lower', 'SHOUT'])
    expect(raw[raw.indexOf('X-Names') + 1]).toMatch(/X-Trace-ID\|a\|lower\|b\|UPPER-Case\|c/)
    expect(raw.join()).not.toMatch(/x-weft-original/i)
  })

  test('a head as large as HTTP/1.1 may have passes, and costs no other request', async () => {
    const app = await http1App((request, response) => response.end(`${request.rawHeaders.length / 2}`))
    const pair = await pairFor({ application: app })
    const many = Object.fromEntries(Array.from({ length: 96 }, (_, i) => [`X-Field-${i}`, 'v'.repeat(100)]))
    const long = { 'X-Long': 'v'.repeat(15_000) }
    const [one, two] = [await rawBody(pair, many), await rawBody(pair, long)]

    expect(Number(one)).toBeGreaterThanOrEqual(97)
    expect(Number(two)).toBeGreaterThanOrEqual(2)
    expect(shared(pair)).toMatchObject({ opened: 1 })
  })

  test('a body that waits for a 100 is asked for by the application', async () => {
    const app = await http1App((request, response) => request.pipe(response))
    const pair = await pairFor({ application: app })
    const body = await new Promise<string>((resolve, reject) => {
      const headers = { expect: '100-continue', 'content-length': '5' }
      const request = httpRequest({ port: pair.port, method: 'PUT', headers })
      request.on('continue', () => request.end('hello'))
      request.on('error', reject)
      request.on('response', async (response) => resolve(Buffer.concat(await response.toArray()).toString()))
      request.flushHeaders()
    })

    expect(body).toBe('hello')
  })

  test('answers without a body have none, and one to HEAD has its length', async () => {
    const app = await http1App((request, response) => {
      if (request.url === '/204') response.writeHead(204).end()
      else if (request.url === '/304') response.writeHead(304, { etag: '"a"' }).end()
      else response.writeHead(200, { 'content-length': '7' }).end(request.method === 'HEAD' ? undefined : 'sevenXY')
    })
    const pair = await pairFor({ application: app })
    const ask = (path: string, method: string) => fetch(`http://127.0.0.1:${pair.port}${path}`, { method })
    const [none, same, head, got] = await Promise.all([
      ask('/204', 'GET'),
      ask('/304', 'GET'),
      ask('/', 'HEAD'),
      ask('/', 'GET'),
    ])

    expect([none.status, same.status, same.headers.get('etag')]).toEqual([204, 304, '"a"'])
    expect([head.headers.get('content-length'), await head.text(), await got.text()]).toEqual(['7', '', 'sevenXY'])
  })

  test('trailers of a chunked body arrive', async () => {
    const app = await http1App((_request, response) => {
      response.writeHead(200, { trailer: 'X-Sum' })
      response.write('body')
      response.addTrailers({ 'X-Sum': '4' })
      response.end()
    })
    const pair = await pairFor({ application: app })
    const trailers = await new Promise((resolve, reject) => {
      const request = httpRequest({ port: pair.port }, (response) => {
        response.resume()
        response.on('end', () => resolve(response.trailers))
      })
      request.on('error', reject)
      request.end()
    })

    expect(trailers).toEqual({ 'x-sum': '4' })
  })

  test('a policy keeps HTTP/1.1 between the sidecars too', async () => {
    const app = await http1App((request, response) => response.end(request.url))
    const pair = await pairFor({ application: app })
    const { current } = pair.destination
    const backends = current.backends.map((backend) => ({
      ...backend,
      policy: { ...backend.policy, betweenSidecars: 'HTTP1' as const },
    }))
    pair.destination.set({ ...current, backends })
    const response = await fetch(`http://127.0.0.1:${pair.port}/x`)

    expect(await response.text()).toBe('/x')
    expect(shared(pair)).toMatchObject({ opened: 0 })
    expect(pair.client.upstreams.stats().backends).toMatchObject([{ connections: { opened: 1 } }])
  })
})

function rawBody(pair: Pair, headers: Record<string, string>): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port: pair.port, headers }, async (response) =>
      resolve(Buffer.concat(await response.toArray()).toString()),
    )
    request.on('error', reject)
    request.end()
  })
}

/** Raw field names and values of the answer. */
function rawAnswer(pair: Pair, headers: Record<string, string>): Promise<string[]> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ port: pair.port, headers }, (response) => {
      response.resume()
      response.on('end', () => resolve(response.rawHeaders))
    })
    request.on('error', reject)
    request.end()
  })
}

describe('the two versions meet', () => {
  test('a client of HTTP/1.1 is served by an application that is declared to speak HTTP/2', async () => {
    const app = await http2App(echo)
    const pair = await pairFor({ application: app.port, workload: ports(app.port, '2') })
    const response = await fetch(`http://127.0.0.1:${pair.port}/p?q=1`, { method: 'POST', body: 'hello' })

    expect([response.status, response.headers.get('x-path'), await response.text()]).toEqual([200, '/p?q=1', 'hello'])
    expect(response.headers.get('x-authority')).toBe(`127.0.0.1:${pair.port}`)
  })

  test('a client of HTTP/2 is served by an application that is declared to speak HTTP/1.1', async () => {
    const app = await http1App(async (request, response) => {
      const body = Buffer.concat(await request.toArray()).toString()
      response.end(JSON.stringify({ ...request.headers, body, version: request.httpVersion }))
    })
    const pair = await pairFor({ application: app, workload: ports(app, '1.1') })
    const client = await clientOf(pair)
    const answer = await client.request(
      { ':method': 'POST', ':path': '/', ':authority': 'catalog:8080', cookie: ['a=1', 'b=2'], te: 'trailers' },
      'hello',
    )

    expect(answer.headers['connection']).toBeUndefined()
    expect(JSON.parse(answer.body)).toMatchObject({
      host: 'catalog:8080',
      cookie: 'a=1; b=2',
      te: 'trailers',
      'transfer-encoding': 'chunked',
      version: '1.1',
      body: 'hello',
    })
  })
})
