// How a pod leaves: in two stages, so that nobody who calls it and nothing that it calls notices.
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { call } from '../../cli/up/http.ts'
import { callerIn, callerPod, faultyIn, faultyPod, until } from '../support/caller.ts'
import { meshPolicy } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'

const health = async (mesh: TestMesh, pod: string, path: string) =>
  (await call({ host: mesh.addressOf(pod), port: 15021, path, timeoutMs: 2000 })).status

test('a drain finishes what came in and lets out what goes out; SIGTERM ends it', async () => {
  // In clear, so that what inbound says to its callers is seen.
  await using mesh = await startMesh(
    meshPolicy('clear', { mtls: { mode: 'Permissive' } }) +
      callerPod({ inject: false }) +
      faultyPod({ name: 'leaving' }) +
      faultyPod({ name: 'other' }),
  )
  const client = callerIn(mesh)
  const url = `http://${mesh.addressOf('leaving-0')}:8080`
  const before = await client.request(`${url}/`)
  expect([before.status, before.headers['connection']]).toEqual([200, undefined])

  const inFlight = client.request(`${url}/?delay=2000`)
  await until('the request is at the application', async () => (await inFlightAt(mesh, 'leaving-0')) > 0)
  const drained = admin(mesh, 'leaving-0', '/drain', 'POST')
  await until('readiness fails', async () => (await health(mesh, 'leaving-0', '/ready')) === 503)
  expect(await health(mesh, 'leaving-0', '/probe/readiness')).toBe(503)

  // New requests that still come are served, and told to go elsewhere with the next one.
  const late = await client.request(`${url}/`, { isKeepAlive: true })
  expect([late.status, late.headers['connection']]).toEqual([200, 'close'])
  const fromPeer = await mesh.exec('other-0', ['node', '-e', POST, url])
  expect(fromPeer.stdout).toBe('200')
  const out = await mesh.exec('leaving-0', ['node', '-e', FETCH_OTHER])
  expect(out.stdout).toBe('200 other-0')

  const finished = await inFlight
  expect([finished.status, finished.headers['connection']]).toEqual([200, 'close'])
  expect(JSON.parse((await drained).body)).toMatchObject({ drained: true, result: { isIdle: true, remaining: 0 } })
  expect((await mesh.exec('leaving-0', ['node', '-e', FETCH_OTHER])).stdout).toBe('200 other-0')

  const sidecar = mesh.running.pods.get('leaving-0')?.sidecar
  await sidecar?.stop(10_000)
  expect(sidecar?.lastExit).toMatchObject({ code: 0, signal: null })
})

const POST =
  'fetch(process.argv[1], { method: "POST", body: "pay 10" }).then((r) => process.stdout.write(String(r.status)))'
const FETCH_OTHER =
  'fetch("http://other:8080/").then((r) => process.stdout.write(r.status + " " + r.headers.get("x-pod")))'

function admin(mesh: TestMesh, pod: string, path: string, method = 'GET') {
  const socketPath = join(mesh.running.paths.pods, pod, 'admin.sock')
  return call({ socketPath, path, method, timeoutMs: 20_000 })
}

async function inFlightAt(mesh: TestMesh, pod: string): Promise<number> {
  const { body } = await admin(mesh, pod, '/connections')
  return (JSON.parse(body) as { inbound: { http: { active: number } } }).inbound.http.active
}

test('replicas that leave one after another under load cost no request, GET or POST', async () => {
  await using mesh = await startMesh(
    meshPolicy('log', { accessLog: { enabled: true } }) + callerPod() + faultyPod({ name: 'web', replicas: 3 }),
  )
  const client = callerIn(mesh)
  const loads = [
    await client.startLoad('http://web:8080/?delay=20', { concurrency: 4, pauseMs: 5 }),
    await client.startLoad('http://web:8080/?delay=20', { method: 'POST', body: 'pay 10', concurrency: 4, pauseMs: 5 }),
    // A connection for each request, as from programs that keep none.
    await client.startLoad('http://web:8080/', { isKeepAlive: false, concurrency: 1, pauseMs: 20 }),
  ]
  for (const name of ['web-0', 'web-1']) {
    await until('all that are left serve', async () => (await faultyIn(mesh, name).seen())['GET'] !== undefined)
    const pod = mesh.running.pods.get(name)
    pod?.markTerminating()
    mesh.running.publish()
    await pod?.stop()
    expect(pod?.sidecar?.lastExit).toMatchObject({ code: 0 })
  }
  const answers = await client.requests('http://web:8080/', 20)
  expect(answers.map(({ headers }) => headers['x-pod'])).toEqual(Array(20).fill('web-2'))
  for (const stop of loads) {
    const load = await stop()
    expect(load.failures).toEqual([])
    expect(load.total).toBeGreaterThan(20)
    expect(load.pods).toContain('web-2')
  }
})

test('callers that cannot hear that a replica leaves, as control is away, go elsewhere when it is gone', async () => {
  await using mesh = await startMesh(callerPod() + faultyPod({ name: 'web', replicas: 2 }))
  const client = callerIn(mesh)
  const stopLoad = await client.startLoad('http://web:8080/?delay=20', { concurrency: 4, pauseMs: 5 })
  await until('both serve', async () => (await faultyIn(mesh, 'web-0').seen())['GET'] !== undefined)
  const control = mesh.running.system('control')?.pid ?? 0
  process.kill(control, 'SIGSTOP')
  try {
    await mesh.running.pods.get('web-0')?.stop()
    expect(await client.requests('http://web:8080/', 20)).toSatisfy((answers: { status: number }[]) =>
      answers.every(({ status }) => status === 200),
    )
    expect((await stopLoad()).failures).toEqual([])
  } finally {
    process.kill(control, 'SIGCONT')
  }
})
