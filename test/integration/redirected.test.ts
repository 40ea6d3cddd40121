// Interception: what applications of a pod may do with addresses, and what the sidecar's own ports refuse.
import { expect, test } from 'vitest'
import { until } from '../support/caller.ts'
import { call, sendBytes } from '../support/calls.ts'
import { echo, meshPolicy, pod } from '../support/documents.ts'
import { startMesh } from '../support/mesh.ts'

test('an application reaches itself by its service, its own address and 127.0.0.1', async () => {
  await using mesh = await startMesh(meshPolicy('log', { accessLog: { enabled: true } }) + echo())
  const hosts = ['echo', mesh.addressOf('echo-0'), `[${mesh.addressOf('echo-0', 6)}]`, '127.0.0.1', '[::1]']

  for (const host of hosts) {
    const answer = await call(mesh, 'echo-0', `http://${host}:8080/self`)
    expect([answer.status, answer.headers['x-pod']], host).toEqual([200, 'echo-0'])
  }
  expect(await sendBytes(mesh, 'echo-0', { host: 'echo', port: 9000, text: 'self' })).toMatchObject({
    received: 'self',
  })
  // By its service it has passed its own inbound path, with its own identity.
  await until('that is logged', () => {
    const lines = mesh.log('echo-0.sidecar').split('\n')
    return lines.some((line) => ['"inbound"', '/self', '/ns/test/sa/echo'].every((part) => line.includes(part)))
  })
})

test('a connection straight to a port of the sidecar is refused and never loops', async () => {
  await using mesh = await startMesh(
    meshPolicy('log', { accessLog: { enabled: true } }) + echo() + pod({ name: 'outsider', inject: false }),
  )
  const own = mesh.addressOf('echo-0')
  for (const port of [15001, 15006]) {
    for (const host of ['127.0.0.1', own]) {
      const inside = await sendBytes(mesh, 'echo-0', {
        host,
        port,
        text: 'GET / HTTP/1.1\r\nHost: a\r\n\r\n',
        limitMs: 3000,
      })
      expect([inside.received, inside.error], `${host}:${port}`).toEqual(['', 'ECONNRESET'])
    }
    const outside = await sendBytes(mesh, 'outsider-0', { host: own, port, text: 'x', limitMs: 3000 })
    expect([outside.received, outside.error], `outside ${port}`).toEqual(['', 'ECONNRESET'])
  }
  expect((await call(mesh, 'echo-0', 'http://echo:8080/')).status).toBe(200)
})

test('a server that speaks first is heard without a delay that a person notices, also on an undeclared port', async () => {
  await using mesh = await startMesh(pod({ name: 'client' }) + echo())

  const first = await sendBytes(mesh, 'client-0', { host: 'echo', port: 9001, text: '' })
  expect(first.received).toBe('220 echo-0\r\n')
  expect(first.firstByteMs).toBeLessThan(600)
  const second = await sendBytes(mesh, 'client-0', { host: 'echo', port: 9001, text: '' })
  expect(second.firstByteMs).toBeLessThan(600)
})

test('admin listens on loopback only, metrics and health are open to the mesh', async () => {
  await using mesh = await startMesh(echo() + pod({ name: 'outsider', inject: false }))
  const host = mesh.addressOf('echo-0')

  expect((await call(mesh, 'outsider-0', `http://${host}:15000/config`)).status).toBe(0)
  expect((await call(mesh, 'outsider-0', `http://${host}:15021/ready`)).status).toBe(200)
  expect((await call(mesh, 'outsider-0', `http://${host}:15020/metrics`)).body).toContain('# TYPE ')
  expect((await call(mesh, 'echo-0', 'http://127.0.0.1:15000/certificates')).body).toContain('/ns/test/sa/echo')
})
