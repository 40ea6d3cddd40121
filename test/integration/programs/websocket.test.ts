// A thousand WebSockets of npm's ws at once, each a tunnel through two sidecars, while the mesh's configuration changes.
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { expect, test } from 'vitest'
import { call } from '../../support/calls.ts'
import { meshPolicy, pod, trafficPolicy } from '../../support/documents.ts'
import { expectBothSidecars, memoryOf, meshForFile } from './programs.ts'

const PORT = 8080
const SOCKETS = 1000
const PUSHES = 100
/** Of each sidecar: two connections and a tunnel between them. Measured: see the line that the test prints. */
const LIMIT_KIB_A_SOCKET = 200

const mesh = meshForFile(
  () =>
    pod({ name: 'client' }) +
    pod({
      name: 'socket',
      command: ['node', 'test/integration/programs/websocket-server.ts'],
      ports: [PORT],
      readiness: { httpGet: { path: '/', port: PORT }, periodSeconds: 1 },
    }),
)

test('a thousand sockets echo, outlive a hundred changes of the configuration, and close in an orderly way', async () => {
  expect((await call(mesh(), 'client-0', `http://socket:${PORT}/`)).status).toBe(200)
  const before = memory()
  const argv = ['node', 'test/integration/programs/websocket-client.ts', `ws://socket:${PORT}/`, `${SOCKETS}`]
  const client = mesh().spawn('client-0', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  const said = linesOf(client)
  const tell = async (line: string) => {
    client.stdin?.write(`${line}\n`)
    return said.next()
  }
  try {
    expect(await said.next()).toEqual({ open: SOCKETS, closedEarly: 0 })
    expect(await tell('echo 1')).toEqual({ echoed: SOCKETS, closedEarly: 0 })
    const after = memory()
    for (const [name, idle] of before) {
      const each = ((after.get(name) ?? 0) - idle) * (1024 / SOCKETS)
      console.log(`${name}: ${each.toFixed(0)} KiB a socket over ${idle.toFixed(0)} MiB`)
      expect(each, name).toBeLessThan(LIMIT_KIB_A_SOCKET)
    }

    await pushConfigurations()
    expect(await tell('echo 2')).toEqual({ echoed: SOCKETS, closedEarly: 0 })
    expect(await tell('close')).toEqual({ codes: { 1000: SOCKETS }, closedEarly: 0 })
  } finally {
    const ended = once(client, 'close')
    client.stdin?.end()
    client.kill()
    await ended
  }
  const way = { client: 'client-0', server: 'socket-0', port: PORT, kind: 'request', atLeast: SOCKETS } as const
  await expectBothSidecars(mesh(), way)
})

const memory = () => new Map(['client-0', 'socket-0'].map((name) => [name, memoryOf(mesh(), name).residentMiB]))

/** Each changes what both sidecars hold, and is waited for at both, as control would else put several together. */
async function pushConfigurations(): Promise<void> {
  const documents = readFileSync(mesh().running.paths.mesh, 'utf8')
  const selector = { matchLabels: { app: 'socket' } }
  for (let push = 1; push <= PUSHES; push++) {
    const idleSeconds = 1000 + push
    const mode = push % 2 === 0 ? 'Strict' : 'Permissive'
    const policies =
      trafficPolicy('socket', { timeouts: { idle: `${idleSeconds}s` } }) +
      meshPolicy('mode', { selector, mtls: { mode } }, 'test')
    mesh().configure(`${documents}\n${policies}`)
    for (const [name, has] of [
      ['client-0', `"idleTimeoutMs": ${idleSeconds * 1000}`],
      ['socket-0', `"mtls": "${mode}"`],
    ] as const) {
      await expect.poll(async () => (await configOf(name)).includes(has), { timeout: 30_000, interval: 20 }).toBe(true)
    }
  }
}

/** What a sidecar has in force, by its admin socket. */
async function configOf(name: string): Promise<string> {
  const socketPath = join(mesh().running.paths.pods, name, 'admin.sock')
  const asked = request({ socketPath, path: '/config' }).end()
  const [answer] = await once(asked, 'response')
  return text(answer)
}

function linesOf(client: ChildProcess) {
  if (client.stdout === null) throw new Error('no output to read')
  const lines = createInterface({ input: client.stdout })[Symbol.asyncIterator]()
  return { next: async () => JSON.parse((await lines.next()).value ?? '{}') as unknown }
}
