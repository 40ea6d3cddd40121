// The traces of a mesh in a real Jaeger, which runs as a pod of that mesh without a sidecar.
import { randomBytes } from 'node:crypto'
import { accessSync, constants } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Caller, callerIn, callerPod, until } from '../support/caller.ts'
import { chainPod } from '../support/chain.ts'
import { meshPolicy, pod, trafficPolicy } from '../support/documents.ts'
import { expectWhole, type Jaeger, jaegerAt, parentOf, spansOf, type Trace, tagOf, tagsOf } from '../support/jaeger.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'
import { reconfigure } from '../support/routes.ts'

const JAEGER = join(import.meta.dirname, '../../../shared/jaeger/up')
const QUERY_PORT = 16686
const BINARY = join(process.env['WEFT_CACHE'] ?? '/var/cache/weft-test', 'bin/jaeger')

/** Fails, since a run without Jaeger has shown nothing. */
function requireJaeger(): void {
  const isThere = (path: string) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  }
  if (!isThere(JAEGER)) throw new Error(`${JAEGER} is missing: check out the folder "shared" beside this repository`)
  const hasGo = (process.env['PATH'] ?? '').split(':').some((directory) => isThere(join(directory, 'go')))
  if (!isThere(BINARY) && !hasGo)
    throw new Error(`neither ${BINARY} nor Go to build it: install Go (1.23 or later) and put it into PATH`)
}

const pods =
  pod({
    name: 'jaeger',
    inject: false,
    command: ['bash', '-c', `exec ${JAEGER} "$POD_IP"`],
    env: { WEFT_CACHE: join(BINARY, '../..') },
    ports: [QUERY_PORT],
    readiness: { tcpSocket: { port: QUERY_PORT }, periodSeconds: 1 },
  }) +
  callerPod() +
  chainPod('web', 'http://orders:8080') +
  chainPod('orders', 'http://stock:8080') +
  chainPod('stock', 'http://prices:8080') +
  chainPod('prices', '') +
  trafficPolicy('prices', { retries: { statuses: [503] } })

const CALLS = [
  ['client', 'web'],
  ['web', 'orders'],
  ['orders', 'stock'],
  ['stock', 'prices'],
] as const

let mesh: TestMesh
let client: Caller
let jaeger: Jaeger

beforeAll(async () => {
  requireJaeger()
  // Long enough for Jaeger to be built, which takes minutes once.
  mesh = await startMesh(pods, { readyTimeoutMs: 540_000 })
  client = callerIn(mesh)
  jaeger = jaegerAt(mesh.addressOf('jaeger-0'))
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

for (const [protocol, port] of [
  ['grpc', 4317],
  ['http', 4318],
] as const) {
  test(`a request through four services is one trace in Jaeger, by OTLP over ${protocol}`, async () => {
    const [traceId, origin] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
    const endpoint = `http://${mesh.addressOf('jaeger-0')}:${port}`
    reconfigure(mesh, pods + meshPolicy('jaeger', { tracing: { endpoint, protocol, samplingPercent: 100 } }))
    await untilExportedTo(endpoint)

    const answer = await client.request(`http://web:8080/?fail=${protocol}&token=secret`, {
      headers: { traceparent: `00-${traceId}-${origin}-01`, 'user-agent': 'e2e/1' },
    })
    expect(answer.status).toBe(200)
    const trace = await jaeger.traceOf(traceId, 'web', 10)

    expect(trace.spans).toHaveLength(10)
    expectWhole(trace, origin)
    expectCalls(trace, origin)
    expectAttributes(trace)
    expectRetry(trace)
    expect(JSON.stringify(trace)).not.toContain('secret')
  })
}

/** All sidecars of the chain have the endpoint in force; before, spans go to control. */
async function untilExportedTo(endpoint: string): Promise<void> {
  for (const name of ['client-0', ...CALLS.map(([, called]) => `${called}-0`)]) {
    await until(`${name} exports to ${endpoint}`, async () => {
      const config = await mesh.exec(name, ['node', '-e', READ_CONFIG])
      return config.stdout.includes(endpoint)
    })
  }
}

const READ_CONFIG =
  'fetch("http://127.0.0.1:15000/config").then((r) => r.json()).then((c) => process.stdout.write(JSON.stringify(c.workload)))'

/** Each server span is the child of the caller's client span, and each client span that of its service's server span. */
function expectCalls(trace: Trace, origin: string): void {
  for (const [caller, called] of CALLS) {
    const above = caller === 'client' ? origin : spansOf(trace, caller, 'server')[0]?.spanID
    const tries = spansOf(trace, caller, 'client')
    const served = spansOf(trace, called, 'server')
    expect(tries.map(parentOf), `client spans of ${caller}`).toEqual(tries.map(() => above))
    expect(served.map(parentOf), `server spans of ${called}`).toEqual(tries.map(({ spanID }) => spanID))
    expect(tries.length, `${caller} -> ${called}`).toBe(called === 'prices' ? 2 : 1)
  }
}

/** The names of conventions.md, section 4. */
function expectAttributes(trace: Trace): void {
  for (const [caller, called] of CALLS) {
    const [out] = spansOf(trace, caller, 'client').slice(-1)
    expect(out?.operationName).toBe('GET')
    expect(tagsOf(out), `client span of ${caller}`).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'url.full': `http://${called}:8080/`,
      'server.address': called,
      'server.port': 8080,
      'network.peer.address': mesh.addressOf(`${called}-0`),
      'network.peer.port': 8080,
      'weft.service': `test/${called}`,
      'weft.destination.identity': `spiffe://weft.local/ns/test/sa/${called}`,
    })
    const [into] = spansOf(trace, called, 'server').slice(-1)
    expect(into?.operationName).toBe('GET')
    expect(tagsOf(into), `server span of ${called}`).toMatchObject({
      'http.request.method': 'GET',
      'http.response.status_code': 200,
      'url.path': '/',
      'url.scheme': 'http',
      'server.address': called,
      'network.protocol.version': '1.1',
      'weft.source.identity': `spiffe://weft.local/ns/test/sa/${caller}`,
    })
    const process = trace.processes[into?.processID ?? '']
    const resource = Object.fromEntries((process?.tags ?? []).map(({ key, value }) => [key, value]))
    expect(resource).toMatchObject({ 'service.namespace': 'test', 'service.instance.id': `${called}-0` })
  }
  expect(tagOf(spansOf(trace, 'web', 'server')[0], 'user_agent.original')).toBe('e2e/1')
}

function expectRetry(trace: Trace): void {
  const [failed, again] = spansOf(trace, 'stock', 'client')
  expect([tagOf(failed, 'http.response.status_code'), tagOf(failed, 'http.request.resend_count')]).toEqual([
    503,
    undefined,
  ])
  expect([tagOf(failed, 'error.type'), tagOf(failed, 'error')]).toEqual(['503', true])
  expect([tagOf(again, 'http.response.status_code'), tagOf(again, 'http.request.resend_count')]).toEqual([200, 1])
  expect(tagOf(again, 'error')).toBeUndefined()
}
