// What crosses between pods, seen by a capture that first proves that it sees.
import { expect, test } from 'vitest'
import { until } from '../support/caller.ts'
import { call, sendBytes } from '../support/calls.ts'
import { captureMesh } from '../support/capture.ts'
import { echo, meshPolicy, pod } from '../support/documents.ts'
import { startMesh } from '../support/mesh.ts'

const access = meshPolicy('log', { accessLog: { enabled: true } })

test('under Strict no byte of an application crosses in clear, in HTTP or any other protocol', async () => {
  await using mesh = await startMesh(
    access +
      pod({ name: 'client' }) +
      pod({ name: 'outsider', inject: false }) +
      echo() +
      echo({ name: 'open' }) +
      meshPolicy('open', { selector: { matchLabels: { app: 'open' } }, mtls: { mode: 'Permissive' } }, 'test'),
  )
  await using capture = await captureMesh(mesh.name)

  // The planted marker: a pod without a sidecar talks to one that is Permissive.
  const open = mesh.addressOf('open-0')
  expect((await call(mesh, 'outsider-0', `http://${open}:8080/PLANTED-MARKER-HTTP`)).status).toBe(200)
  await capture.sees('PLANTED-MARKER-HTTP')
  expect((await sendBytes(mesh, 'outsider-0', { host: open, port: 9000, text: 'PLANTED-MARKER-TCP' })).received).toBe(
    'PLANTED-MARKER-TCP',
  )
  await capture.sees('PLANTED-MARKER-TCP')

  const answer = await call(mesh, 'client-0', 'http://echo:8080/SECRET-PATH', {
    method: 'POST',
    headers: { 'x-note': 'SECRET-HEADER' },
    body: 'SECRET-BODY',
  })
  expect(answer.status).toBe(200)
  expect(answer.body).toContain('SECRET-BODY')
  expect(await sendBytes(mesh, 'client-0', { host: 'echo', port: 9000, text: 'SECRET-TCP' })).toMatchObject({
    received: 'SECRET-TCP',
  })
  for (const marker of ['SECRET-PATH', 'SECRET-HEADER', 'SECRET-BODY', 'SECRET-TCP']) {
    expect(await capture.saw(marker), marker).toBe(false)
  }
  await until('the caller is logged', () => mesh.log('echo-0.sidecar').includes('/ns/test/sa/client'))
})

test('a Strict pod refuses a caller without a sidecar, on its service and on its own address', async () => {
  await using mesh = await startMesh(access + pod({ name: 'outsider', inject: false }) + echo())
  const host = mesh.addressOf('echo-0')

  expect((await call(mesh, 'outsider-0', `http://${host}:8080/`)).body).toBe('ECONNRESET')
  expect(await sendBytes(mesh, 'outsider-0', { host, port: 9000, text: 'hello' })).toMatchObject({
    received: '',
    error: 'ECONNRESET',
  })
  await until('the reason is logged', () => mesh.log('echo-0.sidecar').includes('STRICT_MTLS'))
})

test('callers reach a service over IPv4 and IPv6, by name and by the address of a pod, with identity', async () => {
  await using mesh = await startMesh(access + pod({ name: 'client' }) + echo())
  const hosts = [
    'echo',
    'echo.test.svc.cluster.local',
    mesh.virtualAddressOf('echo', 4),
    `[${mesh.virtualAddressOf('echo', 6)}]`,
    mesh.addressOf('echo-0', 4),
    `[${mesh.addressOf('echo-0', 6)}]`,
  ]
  for (const host of hosts) expect((await call(mesh, 'client-0', `http://${host}:8080/from`)).status, host).toBe(200)

  const seen = () =>
    mesh
      .log('echo-0.sidecar')
      .split('\n')
      .filter((line) => line.includes('"/from"'))
  await until('each request is logged', () => seen().length >= hosts.length)
  expect(seen()).toHaveLength(hosts.length)
  for (const line of seen()) expect(line).toContain('/ns/test/sa/client')
})
