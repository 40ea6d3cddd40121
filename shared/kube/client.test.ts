import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { type Clock, ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from './client.ts'
import { KubeError } from './error.ts'
import { HTTP_ROUTES, PODS, TRAFFIC_POLICIES } from './objects.ts'

interface Seen {
  readonly line: string
  readonly type: string | undefined
  readonly authorization: string | undefined
  readonly body: unknown
}

let server: Server | undefined
let client: KubeClient
afterEach(() => {
  client.close()
  server?.closeAllConnections()
  server?.close()
})

/** Answers every request with this; null: never. */
async function start(
  answer: { status?: number; body?: unknown; headers?: Record<string, string> } | null,
  clock: Clock = systemClock,
) {
  const seen: Seen[] = []
  server = createServer(async (request, response) => {
    const { 'content-type': type, authorization } = request.headers
    const text = await request.toArray().then((chunks) => Buffer.concat(chunks).toString())
    seen.push({
      line: `${request.method} ${request.url}`,
      type,
      authorization,
      body: text === '' ? undefined : JSON.parse(text),
    })
    if (answer === null) return
    const { status = 200, body = { metadata: {} }, headers = {} } = answer
    response.writeHead(status, headers).end(typeof body === 'string' ? body : JSON.stringify(body))
  }).listen(0, '127.0.0.1')
  await new Promise((resolve) => server?.once('listening', resolve))
  const { port } = server.address() as AddressInfo
  const connection = {
    server: new URL(`http://127.0.0.1:${port}/prefix/`),
    credentials: async () => ({ token: 'secret' }),
  }
  client = createKubeClient({ connection, clock, userAgent: 'test' })
  return seen
}

const AT = { namespace: 'shop', name: 'split' }

test('each call is the request that the API asks for', async () => {
  const seen = await start({ body: { metadata: { resourceVersion: '7' }, items: null } })
  expect(await client.list(PODS, { namespace: 'shop', limit: 5 })).toEqual({
    items: [],
    resourceVersion: '7',
    continueToken: '',
  })
  await client.get(TRAFFIC_POLICIES, AT)
  await client.create(PODS, { metadata: AT })
  await client.replace(HTTP_ROUTES, { metadata: AT }, { subresource: 'status' })
  await client.patch(HTTP_ROUTES, AT, { a: 1 })
  await client.apply(TRAFFIC_POLICIES, { metadata: AT }, { fieldManager: 'weft', subresource: 'status' })
  await client.remove(PODS, AT)
  const routes = '/prefix/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/split'
  const policies = '/prefix/apis/weft.dev/v1alpha1/namespaces/shop/trafficpolicies/split'
  expect(seen.map(({ line, type }) => [line, type])).toEqual([
    ['GET /prefix/api/v1/namespaces/shop/pods?limit=5', undefined],
    [`GET ${policies}`, undefined],
    ['POST /prefix/api/v1/namespaces/shop/pods', 'application/json'],
    [`PUT ${routes}/status`, 'application/json'],
    [`PATCH ${routes}`, 'application/merge-patch+json'],
    [`PATCH ${policies}/status?fieldManager=weft&force=true`, 'application/apply-patch+yaml'],
    ['DELETE /prefix/api/v1/namespaces/shop/pods/split', undefined],
  ])
  expect(seen[2]?.body).toEqual({ apiVersion: 'v1', kind: 'Pod', metadata: AT })
  expect(new Set(seen.map(({ authorization }) => authorization))).toEqual(new Set(['Bearer secret']))
})

test('what the server refuses is told with its status, reason and the object', async () => {
  const body = { kind: 'Status', code: 429, reason: 'TooManyRequests', message: 'slow down' }
  await start({ status: 429, body, headers: { 'retry-after': '2' } })
  const error = await client.get(HTTP_ROUTES, AT).catch((caught: unknown) => caught)
  expect(error).toBeInstanceOf(KubeError)
  expect(error).toMatchObject({
    message: 'get HTTPRoute shop/split: 429 slow down',
    status: 429,
    reason: 'TooManyRequests',
    retryAfterMs: 2000,
  })
})

test.each([
  ['99999999', 300_000],
  ['soon', null],
  ['-1', null],
])('Retry-After: %s is taken as %s ms', async (header, retryAfterMs) => {
  await start({ status: 429, headers: { 'retry-after': header } })
  await expect(client.get(PODS, AT)).rejects.toMatchObject({ retryAfterMs })
})

test('an answer that is no JSON, and a list that is none, are errors', async () => {
  await start({ body: '<html>' })
  await expect(client.get(PODS, AT)).rejects.toThrow('get Pod shop/split: ')
  await expect(client.list(PODS)).rejects.toThrow('list pods: ')
})

test('a server that never answers is given up', async () => {
  const clock = new ManualClock()
  const seen = await start(null, clock)
  const answer = expect(client.get(PODS, AT)).rejects.toThrow('get Pod shop/split: no answer within 30 s')
  while (seen.length === 0) await new Promise((resolve) => setImmediate(resolve))
  clock.advance(30_000)
  await answer
})

test('names cannot leave their place in a path', async () => {
  const seen = await start({})
  await client.get(PODS, { namespace: '../kube-system', name: 'a/b?c' })
  expect(seen[0]?.line).toBe('GET /prefix/api/v1/namespaces/..%2Fkube-system/pods/a%2Fb%3Fc')
})
