import { createServer as createHttpServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { type AddressInfo, createServer as createTcpServer, type Server } from 'node:net'
import { expect, test } from 'vitest'
import { parseProbes } from './parse-probes.ts'
import { type Probe, probePage, runProbe } from './probe.ts'

const NEVER = new AbortController().signal

async function startServer(server: Server): Promise<{ readonly port: number } & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      if ('closeAllConnections' in server && typeof server.closeAllConnections === 'function')
        server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

const startApp = (handle: (request: IncomingMessage, response: ServerResponse) => void) =>
  startServer(createHttpServer(handle))

function httpProbe(port: number, more: Record<string, unknown> = {}, timeoutSeconds = 1): Probe {
  const text = JSON.stringify({ readiness: { httpGet: { path: '/ready?x=1', port, ...more }, timeoutSeconds } })
  const probe = parseProbes(text).get('readiness')
  if (probe === undefined) throw new Error('no probe')
  return probe
}

test.each([
  [200, true],
  [204, true],
  [302, true],
  [399, true],
  [400, false],
  [500, false],
])('an application that answers %i is fit: %s', async (status, isSuccess) => {
  await using app = await startApp((_request, response) => response.writeHead(status, { location: '/' }).end())

  expect(await runProbe(httpProbe(app.port), '127.0.0.1', NEVER)).toEqual({
    isSuccess,
    text: `the application answered ${status}`,
  })
})

test('a probe sends the path, the query and the headers that were asked for', async () => {
  const seen: { url: string | undefined; host: string | undefined; extra: unknown }[] = []
  await using app = await startApp((request, response) => {
    seen.push({ url: request.url, host: request.headers.host, extra: request.headers['x-extra'] })
    response.end()
  })
  const httpHeaders = [
    { name: 'Host', value: 'shop.example' },
    { name: 'X-Extra', value: '1' },
  ]
  await runProbe(httpProbe(app.port, { httpHeaders }), '127.0.0.1', NEVER)

  expect(seen).toEqual([{ url: '/ready?x=1', host: 'shop.example', extra: '1' }])
})

test('a body without an end does not hold the probe up', async () => {
  await using app = await startApp((_request, response) => void response.writeHead(200).write('never ending'))

  expect((await runProbe(httpProbe(app.port), '127.0.0.1', NEVER)).isSuccess).toBe(true)
})

test('an application that does not answer fails within the timeout', async () => {
  await using app = await startApp(() => {})

  expect(await runProbe(httpProbe(app.port, {}, 0.05), '127.0.0.1', NEVER)).toEqual({
    isSuccess: false,
    text: 'no answer within 50 ms',
  })
})

test('a port that nobody listens on fails, by HTTP and by TCP', async () => {
  const app = await startApp(() => {})
  await app[Symbol.asyncDispose]()
  const tcp: Probe = { action: { kind: 'tcpSocket', port: app.port }, timeoutMs: 1000, periodMs: 1000 }

  for (const probe of [httpProbe(app.port), tcp]) {
    const result = await runProbe(probe, '127.0.0.1', NEVER)
    expect(result.isSuccess).toBe(false)
    expect(result.text).toContain('ECONNREFUSED')
  }
})

test('a TCP probe is content with a connection', async () => {
  await using app = await startServer(createTcpServer((socket) => socket.on('error', () => {}).resume()))
  const probe: Probe = { action: { kind: 'tcpSocket', port: app.port }, timeoutMs: 1000, periodMs: 1000 }

  expect((await runProbe(probe, '127.0.0.1', NEVER)).isSuccess).toBe(true)
})

test('while the pod leaves, readiness fails without asking and liveness still asks', async () => {
  let asked = 0
  await using app = await startApp((_request, response) => {
    asked++
    response.end()
  })
  const probe = httpProbe(app.port)
  const page = probePage({
    probes: new Map([
      ['readiness', probe],
      ['catalog.readiness', probe],
      ['liveness', probe],
    ]),
    address: () => '127.0.0.1',
    isDraining: () => true,
  })
  const status = async (name: string) => (await page(new URLSearchParams({ '*': name }), NEVER)).status

  expect([await status('readiness'), await status('catalog.readiness'), asked]).toEqual([503, 503, 0])
  expect([await status('liveness'), asked]).toEqual([200, 1])
  expect(await status('startup')).toBe(404)
})

test('probes are read in the words of Kubernetes, with its defaults', () => {
  expect(
    parseProbes(
      '{"readiness":{"httpGet":{"port":8080}},"liveness":{"tcpSocket":{"port":1},"periodSeconds":2,"timeoutSeconds":3}}',
    ),
  ).toEqual(
    new Map([
      [
        'readiness',
        {
          action: { kind: 'httpGet', path: '/', port: 8080, scheme: 'HTTP', headers: [] },
          timeoutMs: 1000,
          periodMs: 10_000,
        },
      ],
      ['liveness', { action: { kind: 'tcpSocket', port: 1 }, timeoutMs: 3000, periodMs: 2000 }],
    ]),
  )
  expect(parseProbes('')).toEqual(new Map())
})

test.each([
  ['not JSON', '{', 'want a JSON object'],
  ['a list', '[]', 'want a JSON object'],
  ['no action', '{"a":{}}', 'a: want httpGet, tcpSocket or grpc'],
  ['an odd name', '{"a/b":{"tcpSocket":{"port":1}}}', '"a/b": want a name'],
  ['a port as text', '{"a":{"httpGet":{"port":"8080"}}}', 'a.httpGet.port: want a port'],
  ['a port too high', '{"a":{"tcpSocket":{"port":65536}}}', 'a.tcpSocket.port: want a port'],
  ['a path with a line break', '{"a":{"httpGet":{"port":1,"path":"/\\r\\nx"}}}', 'a.httpGet.path: want a path'],
  ['another scheme', '{"a":{"httpGet":{"port":1,"scheme":"FTP"}}}', 'a.httpGet.scheme: want HTTP or HTTPS'],
  ['a bad header', '{"a":{"httpGet":{"port":1,"httpHeaders":[{"name":"a b","value":""}]}}}', 'a.httpGet.httpHeaders'],
  ['headers as an object', '{"a":{"httpGet":{"port":1,"httpHeaders":{}}}}', 'a.httpGet.httpHeaders'],
  ['no time at all', '{"a":{"tcpSocket":{"port":1},"timeoutSeconds":0}}', 'a.timeoutSeconds: want seconds'],
])('probes that cannot be right are refused with what would be: %s', (_name, text, message) => {
  expect(() => parseProbes(text)).toThrow(message)
})

test('all mistakes are named at once', () => {
  expect(() => parseProbes('{"a":{"tcpSocket":{"port":0}},"b":{"httpGet":{"port":1,"path":"x"}}}')).toThrow(
    /a\.tcpSocket\.port.*b\.httpGet\.path/,
  )
})
