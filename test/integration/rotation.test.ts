// Certificates that live for a minute: they are renewed at two thirds of it while connections and requests go on.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { call } from '../../cli/up/http.ts'
import { callerIn, callerPod, faultyPod, until } from '../support/caller.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'

const PODS = ['client-0', 'server-0']

async function serialOf(mesh: TestMesh, pod: string): Promise<string> {
  const socketPath = join(mesh.running.paths.pods, pod, 'admin.sock')
  const { body } = await call({ socketPath, path: '/certificates', timeoutMs: 5000 })
  return new X509Certificate((JSON.parse(body) as { chain: string }).chain).serialNumber
}

/** Seconds since 1970. */
async function expiryOf(mesh: TestMesh, pod: string): Promise<number> {
  const { body } = await call({ host: mesh.addressOf(pod), port: 15020, path: '/metrics', timeoutMs: 5000 })
  const [, value] = /^weft_certificate_expiry_timestamp_seconds\{weft_certificate="workload"\} (\S+)$/m.exec(body) ?? []
  return Number(value)
}

const ofAll = <T>(mesh: TestMesh, ask: (mesh: TestMesh, pod: string) => Promise<T>) =>
  Promise.all(PODS.map((pod) => ask(mesh, pod)))

test('a renewed certificate costs no request and no connection', async () => {
  await using mesh = await startMesh(callerPod() + faultyPod({ name: 'server' }), { svidLifetime: '60s' })
  const client = callerIn(mesh)
  const stopPing = await client.startPing('server', 9000)
  const stopGet = await client.startLoad('http://server:8080/', { concurrency: 2, pauseMs: 20 })
  const stopPost = await client.startLoad('http://server:8080/', { method: 'POST', body: 'pay 10', pauseMs: 20 })
  const before = { serials: await ofAll(mesh, serialOf), expiries: await ofAll(mesh, expiryOf) }

  await until(
    'both certificates are renewed',
    async () => (await ofAll(mesh, serialOf)).every((serial, at) => serial !== before.serials[at]),
    55_000,
  )
  // New connections prove the new certificates.
  const fresh = await client.request('http://server:8080/', { isKeepAlive: false })
  expect(fresh.status).toBe(200)

  const expiries = await ofAll(mesh, expiryOf)
  for (const [at, expiry] of expiries.entries()) expect(expiry - (before.expiries[at] ?? 0)).toBeGreaterThan(20)
  for (const stop of [stopGet, stopPost]) {
    const load = await stop()
    expect(load.failures).toEqual([])
    expect(load.total).toBeGreaterThan(200)
  }
  const ping = await stopPing()
  expect(ping).toMatchObject({ error: null, wasOver: false })
  expect(ping.received).toBeGreaterThan(200)
})
