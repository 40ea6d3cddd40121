// The Compat engine chosen by a MeshPolicy, in a real mesh: while applications run and keep their connections.
import { expect, test } from 'vitest'
import { type Caller, callerIn, callerPod, faultyPod, until } from '../support/caller.ts'
import { meshPolicy, pod } from '../support/documents.ts'
import { startMesh } from '../support/mesh.ts'
import { reconfigure } from '../support/routes.ts'

const TWO_HOSTS = 'GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\nConnection: close\r\n\r\n'
const BODY_OF_GET = 'GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok'

/** The status and the reason of the answer to a request that the client's application writes as it is. */
async function answerTo(client: Caller, text: string, host: string): Promise<string> {
  const { received } = await client.raw({ host, port: 8080, text })
  const [, status = 'none'] = /^HTTP\/1\.1 (\d+)/.exec(received) ?? []
  const [, reason = ''] = /\r\nx-weft-reason: (\w+)\r\n/.exec(received) ?? []
  return `${status} ${reason}`.trim()
}

test('a MeshPolicy turns the Compat engine on and off, a pod that says otherwise keeps to that, and no connection is closed', async () => {
  const own = { 'config.weft.dev/compat-ports': '', 'config.weft.dev/skip-inbound-ports': '9100' }
  const pods = callerPod() + faultyPod({ name: 'old' }) + faultyPod({ name: 'strict', annotations: own })
  await using mesh = await startMesh(pods)
  const client = callerIn(mesh)
  const answer = (text: string, host = 'old') => answerTo(client, text, host)
  expect(await answer(TWO_HOSTS)).toBe('400 BAD_REQUEST')
  expect(await answer(BODY_OF_GET)).toBe('200')
  const stopLoad = await client.startLoad('http://old:8080/')

  reconfigure(mesh, pods + meshPolicy('compat', { compat: { ports: [{ port: 8080 }] } }))
  await until('the first of two Host fields goes on', async () => (await answer(TWO_HOSTS)) === '200')
  await until('the sidecar of the pod has heard too', async () => (await answer(BODY_OF_GET)) === '400 COMPAT_BODY')
  expect(await answer(TWO_HOSTS, 'strict')).toBe('400 BAD_REQUEST')
  expect(await answer(BODY_OF_GET, 'strict')).toBe('200')

  reconfigure(mesh, pods)
  await until('two Host fields are refused again', async () => (await answer(TWO_HOSTS)) === '400 BAD_REQUEST')
  await until('a body of GET goes on again', async () => (await answer(BODY_OF_GET)) === '200')
  const load = await stopLoad()
  expect(load.failures).toEqual([])
  expect(load.connections).toBe(1)
})

/** Answers whatever comes as an old device does: its lines end in LF alone. */
const OLD = `require('net').createServer((socket) => {
  socket.on('error', () => {})
  socket.once('data', () => socket.end('HTTP/1.1 200 OK\\nContent-Length: 2\\n\\nok'))
}).listen(8080)`
const device = (name: string, annotations: Readonly<Record<string, string>>) =>
  pod({
    name,
    command: ['node', '-e', OLD],
    ports: [8080],
    inject: false,
    annotations,
    readiness: { tcpSocket: { port: 8080 }, periodSeconds: 1 },
  })

test('answers that no engine takes come from a server without a sidecar as bytes, where its pod says opaque', async () => {
  await using mesh = await startMesh(
    callerPod() +
      device('device', { 'config.weft.dev/compat-ports': '8080' }) +
      device('opaque', { 'config.weft.dev/opaque-ports': '8080' }),
  )
  const client = callerIn(mesh)
  const request = 'GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n'
  expect(await answerTo(client, request, 'device')).toBe('502 UPSTREAM_PROTOCOL')
  const { received } = await client.raw({ host: 'opaque', port: 8080, text: request })
  expect(received).toBe('HTTP/1.1 200 OK\nContent-Length: 2\n\nok')
})
