import { once } from 'node:events'
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { createConfigStore } from './apply.ts'
import { readControlConfig } from './config.ts'
import { type LocalApi, startLocalApi } from './local-api.ts'
import { MESH, WORLD } from './one-service.fixture.ts'
import { createSidecars } from './serve/sidecars.ts'
import { describeStatus } from './status.ts'
import { TraceRing } from './traces/ring.ts'
import { type FileWatch, watchFiles } from './watch/files.ts'
import { modelOf, pod, service, slice } from './watch/kubernetes.fixture.ts'

let folder: string
let socketPath: string
let files: FileWatch
let api: LocalApi
let parts: Parameters<typeof startLocalApi>[1]
const ring = new TraceRing()

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-api-'))
  socketPath = join(folder, 'control.sock')
  await writeFile(join(folder, 'mesh.yaml'), MESH)
  await writeFile(join(folder, 'world.json'), JSON.stringify(WORLD))
  const configFiles = [join(folder, 'mesh.yaml'), join(folder, 'applied.yaml')]
  files = watchFiles({ configFiles, worldFile: join(folder, 'world.json'), clock: systemClock, log: silentLog })
  await files.refresh()
  const store = createConfigStore({ configFiles, ...files })
  const identity = new Watched(undefined)
  const count = { standings: [], counted: { scope: 'mesh', missing: [] } } as const
  const status = () => describeStatus({ ...files, identity, ring, sidecars: createSidecars(), ...count })
  parts = { store, status, ring, model: files.model }
  api = await startLocalApi(socketPath, parts)
})
afterEach(async () => {
  await api.close()
  files.close()
  await rm(folder, { recursive: true })
})

async function ask(method: string, path: string, body = ''): Promise<{ status: number; body: unknown }> {
  const outgoing = request({ socketPath, method, path, agent: false }).end(body)
  const [response] = await once(outgoing, 'response')
  let text = ''
  for await (const chunk of response.setEncoding('utf8')) text += chunk
  return { status: response.statusCode, body: JSON.parse(text) }
}

describe('the local API', () => {
  test('is a socket that only its owner can open', async () => {
    expect((await stat(socketPath)).mode & 0o777).toBe(0o600)
  })

  test('shows objects and what is wrong with the files', async () => {
    await writeFile(join(folder, 'mesh.yaml'), `${MESH}---\nkind: Sevice\n`)
    await files.refresh()
    const { body } = await ask('GET', '/status')
    expect(body).toMatchObject({
      mesh: 'demo',
      identity: null,
      problems: [expect.stringContaining('want "Service"')],
      objects: [{ object: 'Service shop/catalog', applied: 0, of: 0 }],
      counted: { scope: 'mesh', missing: [] },
      sidecars: [],
    })
  })

  test('shows traces, the newest first, and one by its id', async () => {
    const span = {
      spanId: '1',
      parentSpanId: null,
      service: 'web',
      name: 'x',
      kind: 'server',
      startUs: 1,
      durationUs: 1,
    } as const
    for (const traceId of ['aa', 'bb']) {
      ring.add([{ traceId, span: { ...span, status: 'unset', statusMessage: '', attributes: {} } }])
    }
    expect(await ask('GET', '/traces?limit=1')).toMatchObject({ status: 200, body: { traces: [{ traceId: 'bb' }] } })
    expect(await ask('GET', '/traces/AA')).toMatchObject({
      status: 200,
      body: { traceId: 'aa', spans: [{ name: 'x' }] },
    })
    expect((await ask('GET', '/traces/cc')).status).toBe(404)
    expect((await ask('GET', '/traces?limit=all')).status).toBe(400)
  })

  test('shows what a caller is told of a destination', async () => {
    const found = await ask('GET', '/model/destination?key=10.77.128.3:8080&namespace=shop')
    expect(found).toMatchObject({
      status: 200,
      body: { config: { kind: 'service', defaultBackend: 'shop/catalog:8080' } },
    })
    expect((await ask('GET', '/model/destination?key=203.0.113.9:80')).status).toBe(404)
    expect((await ask('GET', '/model/destination')).status).toBe(404)
  })

  test('tells the endpoints that one pod is told, by its node', async () => {
    await api.close()
    const on = (nodeName: string) => ({ spec: { nodeName } })
    const model = modelOf({
      services: [service({ internalTrafficPolicy: 'Local' })],
      pods: [pod('one', 11, on('n1')), pod('two', 12, on('n2'))],
      slices: [
        slice([
          { name: 'one', host: '10.244.0.11', node: 'n1' },
          { name: 'two', host: '10.244.0.12', node: 'n2' },
        ]),
      ],
    })
    api = await startLocalApi(socketPath, { ...parts, model: new Watched(model) })
    const addresses = async (query: string) => {
      const { body } = await ask('GET', `/model/destination?key=10.96.0.7:80${query}`)
      const { endpoints } = body as { endpoints: readonly { ipv4: readonly { address: string }[] }[] }
      return endpoints[0]?.ipv4.map(({ address }) => address)
    }
    expect(await addresses('')).toEqual(['10.244.0.11:8080', '10.244.0.12:8080'])
    expect(await addresses('&pod=shop/two')).toEqual(['10.244.0.12:8080'])
  })

  test('applies documents and refuses wrong ones', async () => {
    const text = MESH.replace('8080', '9090')
    expect(await ask('POST', '/apply?dryRun=true', text)).toMatchObject({
      status: 200,
      body: { plan: [{ change: 'changed' }] },
    })
    expect(files.model.current?.destination('10.77.128.3:9090', 'shop')).toBeNull()
    expect((await ask('POST', '/apply', text)).status).toBe(200)
    expect(files.model.current?.destination('10.77.128.3:9090', 'shop')).not.toBeNull()
    expect(await ask('POST', '/apply?file=bad.yaml', 'kind: X')).toMatchObject({
      status: 422,
      body: { problems: [{ file: 'bad.yaml' }] },
    })
  })

  test.each([
    ['GET', '/', 404],
    ['GET', '/apply', 405],
    ['POST', '/status', 405],
    ['GET', '/traces/%E0%A4%A', 400],
  ])('%s %s is answered with %d', async (method, path, status) => {
    expect((await ask(method, path)).status).toBe(status)
  })

  test('takes the place of a socket that a killed run has left', async () => {
    const store = createConfigStore({ configFiles: ['x'], ...files })
    const second = await startLocalApi(socketPath, {
      store,
      status: () => {
        throw new Error('the second')
      },
      ring,
      model: files.model,
    })
    expect(await ask('GET', '/status')).toEqual({ status: 500, body: { error: 'the second' } })
    await second.close()
  })
})

test('a start with wrong settings names every one of them', () => {
  expect(() =>
    readControlConfig({ WEFT_LISTEN: 'everywhere', WEFT_LOG_LEVEL: 'loud', WEFT_OTLP_GRPC_LISTEN: '[::1]' }),
  ).toThrow(/WEFT_LISTEN=everywhere: want addresses.*WEFT_OTLP_GRPC_LISTEN=\[::1\].*WEFT_LOG_LEVEL=loud/s)
  expect(readControlConfig({ WEFT_LISTEN: '10.0.0.1:1, [fd00::1]:2', WEFT_OTLP_HTTP_LISTEN: '' })).toMatchObject({
    listen: [
      { host: '10.0.0.1', port: 1 },
      { host: 'fd00::1', port: 2 },
    ],
    otlpHttpListen: [],
  })
})
