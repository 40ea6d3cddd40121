// Streams that stay open while everything around them changes: 200 configurations, every certificate of the mesh, and a replica
// that leaves. 70 s, so that the certificates of the beginning have expired by its end; WEFT_LONG_STREAM_SECONDS=600 for the ten minutes of
// the promise.
import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { call } from '../../cli/up/http.ts'
import { until } from '../support/caller.ts'
import { pod, trafficPolicy } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'
import { reconfigure } from '../support/routes.ts'
import type { StreamState } from './long-stream-client.ts'

const SECONDS = Number(process.env['WEFT_LONG_STREAM_SECONDS'] ?? 70)
const CHANGES = 200
const PORT = 9090
const STREAMS = 12
const REPLICAS = ['rpc-0', 'rpc-1', 'rpc-2']
const PODS = ['client-0', ...REPLICAS]

const server = 'HOSTNAME=$POD_IP exec node test/integration/programs/grpc-server.ts'
const pods =
  pod({ name: 'client' }) +
  pod({
    name: 'rpc',
    replicas: REPLICAS.length,
    command: ['sh', '-c', server],
    ports: [{ port: PORT, appProtocol: 'grpc' }],
    readiness: { tcpSocket: { port: PORT }, periodSeconds: 1 },
  })

async function serialOf(mesh: TestMesh, name: string): Promise<string> {
  const socketPath = join(mesh.running.paths.pods, name, 'admin.sock')
  const { body } = await call({ socketPath, path: '/certificates', timeoutMs: 5000 })
  return new X509Certificate((JSON.parse(body) as { chain: string }).chain).serialNumber
}

const serials = (mesh: TestMesh) => Promise.all(PODS.map((name) => serialOf(mesh, name)))

interface Streams {
  states(): readonly StreamState[]
  /** Those of one server, which knows itself by its address. */
  of(name: string): readonly StreamState[]
  end(name: string): void
  finish(): Promise<readonly StreamState[]>
}

function startStreams(mesh: TestMesh): Streams {
  const argv = ['node', 'test/integration/long-stream-client.ts', `rpc:${PORT}`, `${STREAMS}`]
  const child = mesh.spawn('client-0', argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  let [text, last]: [string, readonly StreamState[]] = ['', []]
  child.stdout?.setEncoding('utf8').on('data', (more: string) => {
    const lines = (text + more).split('\n')
    text = lines.pop() ?? ''
    const line = lines.at(-1)
    if (line !== undefined) last = JSON.parse(line) as readonly StreamState[]
  })
  const of = (name: string) => last.filter((state) => state.name === mesh.addressOf(name))
  return {
    states: () => last,
    of,
    end: (name) => void child.stdin?.write(`end ${mesh.addressOf(name)}\n`),
    async finish() {
      const closed = once(child, 'close')
      child.stdin?.end()
      await closed
      return last
    },
  }
}

/** Changes that reach every sidecar, as each is another policy, spread over the time. */
async function change(mesh: TestMesh, everyMs: number): Promise<void> {
  for (let i = 0; i < CHANGES; i++) {
    reconfigure(mesh, pods + trafficPolicy('rpc', { connections: { connectTimeout: `${2000 + i}ms` } }))
    await wait(everyMs)
  }
}

test(
  'streams outlive 200 configurations, their certificates, other replicas, and the drain of their own',
  async () => {
    await using mesh = await startMesh(pods, { svidLifetime: '60s' })
    const streams = startStreams(mesh)
    await until('every stream has been answered', () => {
      const states = streams.states()
      return states.length === STREAMS && states.every(({ received }) => received > 0)
    })
    // Of every replica some: they were balanced one by one.
    for (const name of REPLICAS) expect(streams.of(name).length, name).toBeGreaterThan(1)
    const before = await serials(mesh)

    const changing = change(mesh, (SECONDS * 1000) / CHANGES)
    await until(
      'all certificates are renewed',
      async () => (await serials(mesh)).every((serial, at) => serial !== before[at]),
      58_000,
    )
    await changing
    for (const { status, received } of streams.states()) expect([status, received > SECONDS * 4]).toEqual([null, true])

    // Its own replica leaves: the stream goes on until it ends by itself, and the replica waits for it.
    const leaving = mesh.running.pods.get('rpc-2')
    leaving?.markTerminating()
    mesh.running.publish()
    let isGone = false
    const gone = leaving?.stop().then(() => {
      isGone = true
    })
    const heard = () => streams.of('rpc-2').map(({ received }) => received)
    const atLeave = heard()
    await until('the streams of the leaving replica go on', () => heard().every((n, at) => n > (atLeave[at] ?? 0) + 30))
    expect(isGone).toBe(false)
    streams.end('rpc-2')
    await gone
    await until('they have ended as they should', () => streams.of('rpc-2').every(({ status }) => status === '0 OK'))

    const last = await streams.finish()
    for (const { name, ...rest } of last) {
      expect({ name, ...rest }).toMatchObject({ isInOrder: true, received: rest.sent, status: '0 OK' })
    }
    const gap = Math.max(...last.map(({ longestGapMs }) => longestGapMs))
    console.log(`${STREAMS} streams of ${SECONDS} s and more: the longest silence was ${gap} ms`)
  },
  (SECONDS + 120) * 1000,
)
