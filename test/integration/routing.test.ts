// HTTPRoutes as applications meet them: through both sidecars, with the bytes that the application sent.
import { afterAll, beforeAll, expect, test } from 'vitest'
import {
  type Answered,
  type Caller,
  callerIn,
  callerPod,
  faultyPod,
  type RequestOptions,
  until,
} from '../support/caller.ts'
import { meshPolicy } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'
import { httpRoute, reconfigure, service } from '../support/routes.ts'

const path = (type: 'Exact' | 'PathPrefix' | 'RegularExpression', value: string) => ({ path: { type, value } })
const header = (name: string, value: string, type = 'Exact') => ({ headers: [{ type, name, value }] })
const query = (name: string, value: string, type = 'Exact') => ({ queryParams: [{ type, name, value }] })
const toV2 = { v2: 1 }

const pods = callerPod() + faultyPod({ name: 'v1' }) + faultyPod({ name: 'v2' })

const rest =
  meshPolicy('log', { accessLog: { enabled: true } }) +
  service('paths', 'v1') +
  httpRoute('paths', [
    { matches: [path('Exact', '/exact')], to: toV2 },
    { matches: [path('PathPrefix', '/prefix')], to: toV2 },
    { matches: [path('RegularExpression', '/item/[0-9]+')], to: toV2 },
    {},
  ]) +
  service('fields', 'v1') +
  httpRoute('fields', [
    { matches: [{ method: 'DELETE' }], to: toV2 },
    { matches: [header('x-canary', 'yes')], to: toV2 },
    { matches: [header('x-build', '[a-f0-9]{4}', 'RegularExpression')], to: toV2 },
    { matches: [query('version', '2')], to: toV2 },
    { matches: [header('Host', 'canary.example')], to: toV2 },
    { matches: [{ ...header('x-both', '1'), ...query('both', '1'), method: 'PUT' }], to: toV2 },
    {},
  ]) +
  service('narrow', 'v1') +
  httpRoute('narrow', [{ matches: [header('x-known', 'yes')] }]) +
  service('nowhere', 'v1') +
  httpRoute('nowhere', [{ to: { nobody: 1 } }]) +
  service('live', 'v1')

let mesh: TestMesh
let client: Caller

beforeAll(async () => {
  mesh = await startMesh(pods + rest)
  client = callerIn(mesh)
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

type Asked = readonly [what: string, url: string, options: RequestOptions, pod: 'v1-0' | 'v2-0']

async function servedBy(cases: readonly Asked[]): Promise<void> {
  for (const [what, url, options, pod] of cases) {
    const answer = await client.request(url, options)
    expect([answer.status, answer.headers['x-pod']], what).toEqual([200, pod])
  }
}

const reasonOf = ({ status, headers }: Answered) => [status, headers['x-weft-reason']]

test('a path is matched exactly, by whole elements of a prefix, or by an expression for all of it', async () => {
  const at = (target: string) => `http://paths:8080${target}`
  await servedBy([
    ['exact', at('/exact'), {}, 'v2-0'],
    ['exact with a query', at('/exact?a=1'), {}, 'v2-0'],
    ['exact is no prefix', at('/exact/more'), {}, 'v1-0'],
    ['case counts', at('/Exact'), {}, 'v1-0'],
    ['an escaped letter is the letter', at('/ex%61ct'), {}, 'v2-0'],
    ['prefix itself', at('/prefix'), {}, 'v2-0'],
    ['prefix and more', at('/prefix/a/b'), {}, 'v2-0'],
    ['half an element is no prefix', at('/prefixed'), {}, 'v1-0'],
    ['expression', at('/item/12'), {}, 'v2-0'],
    ['expression is for the whole path', at('/item/12/more'), {}, 'v1-0'],
    ['the rule without a match', at('/'), {}, 'v1-0'],
  ])
})

test('a method, a header, a query parameter and the Host header decide, and together only when all hold', async () => {
  const url = 'http://fields:8080/'
  await servedBy([
    ['method', url, { method: 'DELETE' }, 'v2-0'],
    ['no method', url, { method: 'POST', body: 'x' }, 'v1-0'],
    ['header', url, { headers: { 'X-Canary': 'yes' } }, 'v2-0'],
    ['another value', url, { headers: { 'x-canary': 'yes, please' } }, 'v1-0'],
    ['expression', url, { headers: { 'x-build': '00af' } }, 'v2-0'],
    ['expression for the whole value', url, { headers: { 'x-build': '00af9' } }, 'v1-0'],
    ['query', `${url}?a=b&version=2`, {}, 'v2-0'],
    ['the first of a repeated parameter', `${url}?version=1&version=2`, {}, 'v1-0'],
    ['Host', url, { headers: { Host: 'Canary.example:8080' } }, 'v2-0'],
    ['another Host goes where the address says', url, { headers: { Host: 'paths' } }, 'v1-0'],
    ['two of three', `${url}?both=1`, { headers: { 'x-both': '1' } }, 'v1-0'],
    ['all three', `${url}?both=1`, { method: 'PUT', headers: { 'x-both': '1' } }, 'v2-0'],
  ])
})

test('what no rule matches is a 404 that says NO_ROUTE, and a rule to no service a 500 that says NO_BACKEND', async () => {
  expect(reasonOf(await client.request('http://narrow:8080/'))).toEqual([404, 'NO_ROUTE'])
  expect(reasonOf(await client.request('http://narrow:8080/', { headers: { 'x-known': 'yes' } }))).toEqual([
    200,
    undefined,
  ])
  expect(reasonOf(await client.request('http://nowhere:8080/'))).toEqual([500, 'NO_BACKEND'])
  await until('the reason is logged', () => mesh.log('client-0.sidecar').includes('NO_ROUTE'))
})

test('a path with two readings is refused where a rule looks at paths, and passes untouched elsewhere', async () => {
  for (const target of ['/exact/../secret', '//exact', '/a%2Fb', '/a%5Cb', '/./exact']) {
    expect(reasonOf(await client.request(`http://paths:8080${target}`)), target).toEqual([400, 'AMBIGUOUS_PATH'])
    const passed = await client.request(`http://fields:8080${target}`)
    expect([passed.status, JSON.parse(passed.body).url], target).toEqual([200, target])
  }
  const signed = '/exact%20?sig=%2F%2B//..'
  expect(JSON.parse((await client.request(`http://paths:8080${signed}`)).body).url).toBe(signed)
})

test('a pod is reached by its own address without the routes of its service, an address of no pod is not reached', async () => {
  const own = await client.request(`http://${mesh.addressOf('v1-0')}:8080/exact`)
  expect([own.status, own.headers['x-pod']]).toEqual([200, 'v1-0'])

  const { plan } = mesh.running
  const taken = new Set(plan.pods.flatMap(({ addresses }) => addresses))
  const unused = mesh.addressOf('client-0').replace(/\d+$/, '250')
  expect(taken.has(unused)).toBe(false)
  const lost = await client.request(`http://${unused}:8080/`, { timeoutMs: 15_000 })
  expect([lost.status, lost.body]).toEqual([0, 'ECONNRESET'])
})

test('a route that changes is in force without a connection closed or a request in flight lost', async () => {
  const before = await client.request('http://live:8080/')
  expect(before.headers['x-pod']).toBe('v1-0')
  const stopLoad = await client.startLoad('http://live:8080/')
  const stopPing = await client.startPing('v1', 9000)
  const slow = client.request('http://live:8080/?delay=1500', { isKeepAlive: false })

  reconfigure(mesh, pods + rest + httpRoute('live', [{ to: toV2 }]))
  await until('requests go to v2', async () => {
    const answer = await client.request('http://live:8080/', { isKeepAlive: false })
    return answer.headers['x-pod'] === 'v2-0'
  })

  const done = await slow
  expect([done.status, done.headers['x-pod']]).toEqual([200, 'v1-0'])
  const load = await stopLoad()
  expect(load.failures).toEqual([])
  expect([load.connections, load.pods]).toEqual([1, ['v1-0', 'v2-0']])
  expect(await stopPing()).toMatchObject({ error: null, wasOver: false })
})
