// Weft on a real Kubernetes of one node: charts, a label, the shop. Needs root, ../shared and what its README asks for.
// Calls are made by pods (test/fixtures/apps/caller.ts) that this machine reaches by their addresses.
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { until } from '../support/caller.ts'
import { captureLink } from '../support/capture.ts'
import { remainsOfWeft } from './kubernetes/installation.ts'
import { accessLogOf, apply, get, isReady, kubectl, podsOf, ROOT, succeed } from './kubernetes/kubectl.ts'
import { probed, untilReady, visit } from './kubernetes/workloads.ts'
import { createWorld, type World } from './kubernetes/world.ts'

const POD_LINK = 'mesh-pods'

let world: World

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world?.[Symbol.asyncDispose]())

const identityOf = (serviceAccount: string) => `spiffe://weft.local/ns/${world.inside}/sa/${serviceAccount}`

test('every pod of a labelled namespace gets a sidecar before its other containers, no other pod does', async () => {
  const inside = await podsOf(world.inside)
  expect(inside.length).toBeGreaterThanOrEqual(12)
  for (const { metadata, spec } of inside) {
    const names = spec.initContainers?.map(({ name, restartPolicy }) => [name, restartPolicy])
    expect(names, metadata.name).toEqual([
      ['weft-init', undefined],
      ['weft-proxy', 'Always'],
    ])
  }
  for (const { metadata, spec } of await podsOf(world.outside))
    expect(spec.initContainers, metadata.name).toBeUndefined()
})

test('probes of applications pass under Strict, asked by the sidecar', async () => {
  for (const pod of await podsOf(world.inside)) {
    const { metadata, spec, status } = pod
    expect(isReady(pod), metadata.name).toBe(true)
    expect(
      status.containerStatuses?.map(({ restartCount }) => restartCount),
      metadata.name,
    ).toEqual([0])
    expect(spec.containers[0]?.readinessProbe?.httpGet?.port, metadata.name).toBe(15021)
  }
})

test('probes by HTTP, HTTPS, TCP, gRPC and exec pass under Strict, and fail when the application says so', async () => {
  await apply(world.inside, [probed(await selfSigned())])
  await untilReady(world.inside)
  const kinds = ['http /up?x=1 yes', 'https /secure', 'tcp', 'grpc /grpc.health.v1.Health/Check shop']
  const log = () => kubectl('-n', world.inside, 'logs', 'deploy/probed', '-c', 'app')
  // Liveness is asked for the first time when the pod may be ready already.
  await until('each kind was asked', async () => (await log()).trim().split('\n').length >= kinds.length)
  expect((await log()).trim().split('\n').sort()).toEqual(kinds.map((kind) => `asked by ${kind}`).sort())

  const isReadyNow = async () => (await podsOf(world.inside, 'app=probed')).every(isReady)
  const turn = ['node', '-e', 'process.kill(1, "SIGUSR2")']
  await kubectl('-n', world.inside, 'exec', 'deploy/probed', '-c', 'app', '--', ...turn)
  await until('the pod is not ready', async () => !(await isReadyNow()))
  await kubectl('-n', world.inside, 'exec', 'deploy/probed', '-c', 'app', '--', ...turn)
  await until('the pod is ready again', isReadyNow)
  await kubectl('-n', world.inside, 'delete', 'deployment', 'probed')
})

async function selfSigned(): Promise<{ key: string; cert: string }> {
  const request = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:P-256',
    '-nodes',
    '-subj',
    '/CN=probed',
  ]
  const pem = await succeed('openssl', [...request, '-days', '2', '-keyout', '-', '-out', '-'])
  const [key = '', cert = ''] = pem.split(/(?=-----BEGIN CERTIFICATE)/)
  return { key, cert }
}

test('the shop works: HTTP, Python, WebSocket, and Redis behind a headless service', async () => {
  const { shopper } = world
  await shopper.request('http://web:8080/cart?product=2', { method: 'POST' })
  const home = await shopper.request('http://web:8080/')
  expect(JSON.parse(home.body)).toMatchObject({
    catalog: { status: 200 },
    cart: { status: 200, items: { 2: 1 } },
    reviews: { status: 200 },
  })
  const price = await shopper.request('http://web:8080/price')
  expect(JSON.parse(price.body)).toMatchObject({ product: '1' })
})

test('both ends of a call know who the other is, along the whole chain of calls', async () => {
  const traceId = randomBytes(16).toString('hex')
  const headers = { traceparent: `00-${traceId}-${randomBytes(8).toString('hex')}-01` }
  expect((await world.shopper.request('http://web:8080/', { headers })).status).toBe(200)

  const calls = [
    ['shopper', 'web'],
    ['web', 'catalog'],
    ['web', 'cart'],
    ['web', 'reviews'],
  ] as const
  for (const [source, destination] of calls) {
    for (const [end, direction] of [
      [source, 'outbound'],
      [destination, 'inbound'],
    ] as const) {
      const seen = () => requestsOf(end, direction, traceId, destination)
      await until(`${direction} request of ${source} to ${destination}`, async () => (await seen()).length > 0)
      expect(await seen(), `${direction} at ${end}`).toMatchObject([
        { src: identityOf(source), dst: identityOf(destination), 'http.response.status_code': 200 },
      ])
    }
  }
})

async function requestsOf(app: string, direction: string, traceId: string, destination: string) {
  const lines = await accessLogOf(world.inside, `app=${app}`)
  return lines.filter(
    (line) =>
      line['msg'] === 'request' &&
      line['trace_id'] === traceId &&
      line['weft.direction'] === direction &&
      // The front page asks three services.
      String(line['weft.service']).startsWith(`${world.inside}/${destination}`),
  )
}

test('weft identity says who a pod is, until when, and that its bundle vouches for it', async () => {
  const [pod] = await podsOf(world.inside, 'app=catalog')
  const words = ['identity', `${pod?.metadata.name}`, '--namespace', world.inside]
  const said = await succeed(join(ROOT, 'bin/weft'), words)
  expect(said).toContain('The trust bundle of this pod vouches for it.')
  const { identity, problem, expiresAt } = JSON.parse(
    await succeed(join(ROOT, 'bin/weft'), [...words, '--output', 'json']),
  ) as { identity: string; problem: null; expiresAt: string }
  expect({ identity, problem }).toEqual({ identity: identityOf('catalog'), problem: null })
  expect(Date.parse(expiresAt)).toBeGreaterThan(Date.now())
})

test('bytes of a headless service pass by mutual TLS too, and both ends know whose they are', async () => {
  const readCart = async () => expect((await world.shopper.request('http://web:8080/cart')).status).toBe(200)
  await readCart()
  // Connections are counted when they end, and cart keeps its own for as long as it lives.
  await kubectl('-n', world.inside, 'rollout', 'restart', 'deployment/cart')
  await untilReady(world.inside)
  await untilClosed('redis', 'cart')
  await readCart()
  await kubectl('-n', world.inside, 'delete', 'pod', 'redis-0')
  await untilClosed('cart', 'redis')
  await untilReady(world.inside)
})

/** Until the sidecar of one has counted the end of a connection with the other. */
async function untilClosed(app: string, peer: string): Promise<void> {
  const closed = new RegExp(`^weft_tcp_connections_closed_total\\{.*weft_peer="${identityOf(peer)}"`, 'm')
  const [pod] = await podsOf(world.inside, `app=${app}`)
  await until(`${app} has counted a connection with ${peer}`, async () => {
    const metrics = await fetch(`http://${pod?.status.podIP}:15020/metrics`)
    return closed.test(await metrics.text())
  })
}

test('Strict refuses a pod that has no sidecar', async () => {
  const [target] = await podsOf(world.inside, 'app=web')
  const refused = [`http://web.${world.inside}.svc.cluster.local:8080/`, `http://${target?.status.podIP}:8080/`]
  for (const url of refused) expect(await world.stranger.request(url), url).toMatchObject({ status: 0 })
  // It is Strict that refuses: the stranger reaches what is no part of the mesh.
  expect(await world.stranger.request('http://echo/')).toMatchObject({ status: 200 })
  await until('the reason is logged', async () => {
    const log = await accessLogOf(world.inside, 'app=web')
    return log.some((line) => line['weft.reason'] === 'STRICT_MTLS')
  })
})

test('nothing of a call can be read on the link between pods', async () => {
  const marker = (word: string) => `${word}-${randomBytes(8).toString('hex')}`
  const [plain, sealed, stored] = [marker('plain'), marker('sealed'), marker('stored')]
  // Orders to the callers come by port 9100 in clear. So do spans, with the path of a request, by 4317 to control.
  await using capture = await captureLink(POD_LINK, 'tcp and not port 9100 and not port 4317')
  await world.stranger.request(`http://echo/${plain}`)
  await capture.sees(plain)

  const answer = await world.shopper.request(`http://echo/${sealed}`)
  expect(answer.body).toContain(sealed)
  expect(await capture.saw(sealed)).toBe(false)

  // By HTTP to cart, by the protocol of Redis from there.
  await world.shopper.request(`http://web:8080/cart?product=${stored}`, { method: 'POST' })
  const cart = await world.shopper.request('http://web:8080/cart')
  expect(JSON.parse(cart.body)).toMatchObject({ items: { [stored]: 1 } })
  expect(await capture.saw(stored)).toBe(false)
})

test('a canary gets its share, and those who ask for it by a header', async () => {
  const { shopper } = world
  const versionsOf = async (count: number, headers: Record<string, string>) => {
    const answers = await shopper.requests('http://catalog:8080/products', count, { concurrency: 8, headers })
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    return answers.filter((answer) => answer.headers['x-catalog-version'] === 'v2').length
  }
  expect(await versionsOf(20, { 'x-canary': 'v2' })).toBe(20)
  // 50 expected; by the binomial distribution chance is outside once in 18 million runs.
  const canaries = await versionsOf(1000, {})
  expect(canaries).toBeGreaterThanOrEqual(16)
  expect(canaries).toBeLessThanOrEqual(90)
})

test('the status of a route says whether it is accepted, and whether its backends are there', async () => {
  await until('the route catalog is accepted', async () => (await conditionsOf('catalog')).length >= 2)
  expect(await conditionsOf('catalog')).toEqual(
    expect.arrayContaining(['Accepted True Accepted', 'ResolvedRefs True ResolvedRefs']),
  )

  const parentRefs = [{ group: '', kind: 'Service', name: 'price-feed', port: 8080 }]
  const rules = [{ backendRefs: [{ name: 'nowhere', port: 8080 }] }]
  await apply(world.inside, [
    {
      apiVersion: 'gateway.networking.k8s.io/v1',
      kind: 'HTTPRoute',
      metadata: { name: 'broken' },
      spec: { parentRefs, rules },
    },
  ])
  await until('the broken route is told', async () =>
    (await conditionsOf('broken')).includes('ResolvedRefs False BackendNotFound'),
  )
  expect(await conditionsOf('broken')).toContain('Accepted True Accepted')
  await until('its requests fail', async () => (await world.shopper.request('http://price-feed:8080/')).status === 500)
  await kubectl('-n', world.inside, 'delete', 'httproute', 'broken')
  await until(
    'they reach the feed again',
    async () => (await world.shopper.request('http://price-feed:8080/ready')).status === 200,
  )
})

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
}

async function conditionsOf(route: string): Promise<readonly string[]> {
  type Status = { status?: { parents?: { controllerName: string; conditions?: Condition[] }[] } }
  const { status } = await get<Status>(world.inside, 'httproute', route)
  const ours = (status?.parents ?? []).filter(({ controllerName }) => controllerName === 'weft.dev/controller')
  return ours.flatMap(({ conditions = [] }) =>
    conditions.map(({ type, status, reason }) => `${type} ${status} ${reason}`),
  )
}

test('a Job and a run of a CronJob end, though their pods have sidecars', async () => {
  await apply(world.inside, [visit('visit', 'http://web:8080/')])
  await kubectl('-n', world.inside, 'create', 'job', 'report-now', '--from=cronjob/report')
  await kubectl('-n', world.inside, 'wait', '--for=condition=Complete', '--timeout=90s', 'job/visit', 'job/report-now')
  expect(await kubectl('-n', world.inside, 'logs', 'job/report-now', '-c', 'report')).toContain('report: 3 products')
  for (const name of ['visit', 'report']) {
    const [pod] = await podsOf(world.inside, `app=${name}`)
    expect(pod?.spec.initContainers?.map(({ name }) => name)).toContain('weft-proxy')
  }
})

test('an uninstall leaves nothing of Weft in the cluster', async () => {
  await world.clear()
  await world.installation.uninstall()
  const isKept = process.env['WEFT_E2E_INSTALLED'] === '1'
  expect(isKept ? [] : await remainsOfWeft()).toEqual([])
})
