// A sidecar of an earlier version at the other end: it knows weft/http1 and weft/tcp only.
import { once } from 'node:events'
import { createServer as createHttpServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { MESH_TLS } from '#shared/identity/tls-settings.ts'
import { connectHttp2To, startHttp2App } from '../support/http2.ts'
import { type Pair, SERVER_ID, startPair } from '../support/pair.ts'

const toClose: AsyncDisposable[] = []
afterEach(async () => {
  for (const each of toClose.splice(0).reverse()) await each[Symbol.asyncDispose]()
})

/** Ends TLS as it did, and passes what is inside to the application. Says what each connection agreed on. */
async function startOldSidecar(pair: Pair, application: number): Promise<string[]> {
  const { chain, key, roots } = await pair.authority.issue(SERVER_ID)
  const agreed: string[] = []
  const open = new Set<{ destroy(): void }>()
  const server = createTlsServer(
    {
      ...MESH_TLS,
      cert: chain,
      key: key.export({ type: 'pkcs8', format: 'pem' }),
      ca: roots,
      requestCert: true,
      ALPNProtocols: ['weft/http1', 'weft/tcp'],
    },
    (socket: TLSSocket) => {
      agreed.push(String(socket.alpnProtocol))
      const far = connect(application, '127.0.0.1')
      for (const end of [socket, far]) {
        open.add(end)
        end.on('error', () => {})
      }
      socket.pipe(far).pipe(socket)
    },
  )
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  toClose.push({
    async [Symbol.asyncDispose]() {
      for (const end of open) end.destroy()
      server.close()
    },
  })
  const [endpoint] = pair.endpoints.current
  if (endpoint === undefined) throw new Error('no endpoint')
  pair.endpoints.set([{ ...endpoint, address: { host: '127.0.0.1', port: (server.address() as AddressInfo).port } }])
  return agreed
}

async function pairBefore(application: number): Promise<{ readonly pair: Pair; readonly agreed: string[] }> {
  // Declared, so that a client that is slow to begin is not taken for one that waits for the server.
  const pair = await startPair({ application, config: { protocol: 'http' } })
  toClose.push(pair)
  return { pair, agreed: await startOldSidecar(pair, application) }
}

test('requests of HTTP/1.1 travel as it knows them, and it is asked for weft/h2 once', async () => {
  const seen: string[] = []
  const app = createHttpServer((request, response) => {
    seen.push(...request.rawHeaders)
    response.end(request.url)
  })
  app.listen(0, '127.0.0.1')
  await once(app, 'listening')
  toClose.push({
    async [Symbol.asyncDispose]() {
      app.closeAllConnections()
      app.close()
    },
  })
  const { pair, agreed } = await pairBefore((app.address() as AddressInfo).port)
  const texts = await Promise.all(
    Array.from({ length: 5 }, async (_, i) => (await fetch(`http://127.0.0.1:${pair.port}/${i}`)).text()),
  )

  expect(texts).toEqual(['/0', '/1', '/2', '/3', '/4'])
  expect(new Set(agreed)).toEqual(new Set(['weft/http1']))
  expect(seen.join()).not.toContain('x-weft-original')
  expect(pair.client.upstreams.stats().shared).toMatchObject({ opened: 0 })
})

test('requests of HTTP/2 reach the application as HTTP/2', async () => {
  const app = await startHttp2App((stream, headers) => {
    stream.respond({ ':status': 200, 'x-path': headers[':path'] })
    stream.end('two')
  })
  toClose.push(app)
  const { pair, agreed } = await pairBefore(app.port)
  const client = await connectHttp2To(pair.port)
  toClose.push(client)
  const answers = await Promise.all([client.request({ ':path': '/a' }), client.request({ ':path': '/b' })])

  expect(answers.map(({ status, body, headers }) => [status, body, headers['x-path']])).toEqual([
    [200, 'two', '/a'],
    [200, 'two', '/b'],
  ])
  expect(agreed).toEqual(['weft/http1', 'weft/tcp'])
})
