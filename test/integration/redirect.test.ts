// The iptables program in real namespaces, with a recorder in place of the sidecar.
import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { applyRedirect, removeRedirect } from '#shared/pod/apply.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'

const run = promisify(execFile)

const RECORDER = fileURLToPath(new URL('../support/original-destination.ts', import.meta.url))

/** Two pods without a sidecar: "pod" runs the recorder, "peer" is somebody else on the network. */
const DOCUMENTS = `
apiVersion: v1
kind: Service
metadata: { name: web }
spec: { selector: { app: pod }, ports: [{ port: 80 }] }
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: pod, labels: { app: pod } }
spec:
  inject: false
  command: [node, ${RECORDER}]
  readinessProbe: { tcpSocket: { port: 15006 } }
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: peer }
spec: { inject: false, command: [sleep, infinity] }
`

/** Says "plain PORT", for what must not be redirected. */
const PLAIN_SERVER = `
const ports = [8080, 15000, 15020, 15021, 9000]
for (const port of ports) for (const host of ['0.0.0.0', '::']) {
  require('node:net').createServer((socket) => socket.on('error', () => {}).end('plain ' + port + '\\n'))
    .listen({ host, port, ipv6Only: host === '::' }, () => console.log('listens'))
}`

/** Prints what the other side says. */
const CLIENT = `
const [host, port] = process.argv.slice(1)
const socket = require('node:net').connect({ host, port: Number(port) })
socket.pipe(process.stdout)
socket.setTimeout(5000, () => socket.destroy(new Error('silence')))
socket.on('error', (error) => console.log(error.code ?? error.message))`

let mesh: TestMesh
let namespace: string
let plain: ReturnType<TestMesh['spawn']>

beforeAll(async () => {
  mesh = await startMesh(DOCUMENTS)
  namespace = mesh.running.pods.get('pod-0')?.plan.networkNamespace ?? ''
  plain = mesh.spawn('pod-0', ['node', '-e', PLAIN_SERVER], { stdio: ['ignore', 'pipe', 'inherit'] })
  let said = ''
  for await (const chunk of plain.stdout ?? []) {
    said += String(chunk)
    if (said.split('\n').length > 10) break
  }
})

afterAll(async () => {
  plain?.kill()
  await mesh?.[Symbol.asyncDispose]()
})

async function ask(from: 'pod-0' | 'peer-0', host: string, port: number, as: readonly string[] = []): Promise<string> {
  const { stdout } = await mesh.exec(from, [...as, 'node', '-e', CLIENT, host, `${port}`])
  return stdout.trim()
}

async function rules(): Promise<string> {
  const dumps = await Promise.all(
    ['iptables-save', 'ip6tables-save'].map((save) => run('ip', ['netns', 'exec', namespace, save, '-t', 'nat'])),
  )
  return dumps.map(({ stdout }) => stdout.replace(/^#.*\n/gm, '').replace(/\[\d+:\d+\]/g, '')).join('\n')
}

test('applied twice, the program leaves the rules of one application, also after several at once; removal leaves nothing', async () => {
  await removeRedirect(namespace)
  const before = await rules()
  expect(before).not.toContain('WEFT')

  await applyRedirect(namespace, { skipOutboundPorts: [25] })
  const once = await rules()
  expect(once.match(/-j WEFT_OUTBOUND/g)).toHaveLength(2)
  await applyRedirect(namespace, { skipOutboundPorts: [25] })
  expect(await rules()).toBe(once)
  await Promise.all([1, 2, 3].map(() => applyRedirect(namespace, { skipOutboundPorts: [25] })))
  await applyRedirect(namespace, { skipOutboundPorts: [25] })
  expect(await rules()).toBe(once)

  await removeRedirect(namespace)
  expect(await rules()).toBe(before)
  await removeRedirect(namespace)
  expect(await rules()).toBe(before)
})

test('rules that somebody else has in the same chains stay where they are', async () => {
  const foreign = ['-p', 'tcp', '--dport', '4444', '-j', 'RETURN']
  await run('ip', ['netns', 'exec', namespace, 'iptables', '-t', 'nat', '-A', 'OUTPUT', ...foreign])
  try {
    await applyRedirect(namespace)
    expect(await rules()).toContain('-A OUTPUT -p tcp -m tcp --dport 4444 -j RETURN')
    await removeRedirect(namespace)
    expect(await rules()).toContain('-A OUTPUT -p tcp -m tcp --dport 4444 -j RETURN')
  } finally {
    await run('ip', ['netns', 'exec', namespace, 'iptables', '-t', 'nat', '-D', 'OUTPUT', ...foreign])
  }
})

test('a namespace that is not there is named in the error, and nothing is changed elsewhere', async () => {
  const before = await rules()
  await expect(applyRedirect(`${namespace}-not-there`)).rejects.toThrow(`failed in namespace ${namespace}-not-there`)
  expect(await rules()).toBe(before)
})

test.each([4, 6] as const)(
  'IPv%i: what the application opens reaches 15001 and its destination is known',
  async (family) => {
    await applyRedirect(namespace)
    const peer = mesh.addressOf('peer-0', family)
    const virtual = mesh.virtualAddressOf('web', family)
    const shown = (host: string) => (family === 6 ? `[${host}]` : host)
    expect(await ask('pod-0', peer, 8080)).toBe(`outbound ${shown(peer)}:8080`)
    expect(await ask('pod-0', peer, 53)).toBe(`outbound ${shown(peer)}:53`)
    // Its own service: out by the virtual address, as to any other.
    expect(await ask('pod-0', virtual, 80)).toBe(`outbound ${shown(virtual)}:80`)
    expect(await ask('pod-0', peer, 8080, ['setpriv', '--reuid=1000', '--regid=1000', '--clear-groups'])).toBe(
      `outbound ${shown(peer)}:8080`,
    )
  },
)

test.each([4, 6] as const)('IPv%i: what reaches the pod goes to 15006, but for metrics and health', async (family) => {
  await applyRedirect(namespace)
  const pod = mesh.addressOf('pod-0', family)
  const shown = family === 6 ? `[${pod}]` : pod
  for (const port of [8080, 22, 15000, 15001, 15006]) {
    expect(await ask('peer-0', pod, port)).toBe(`inbound ${shown}:${port}`)
  }
  expect(await ask('peer-0', pod, 15020)).toBe('plain 15020')
  expect(await ask('peer-0', pod, 15021)).toBe('plain 15021')
})

test.each([4, 6] as const)(
  'IPv%i: an application that calls itself by loopback or by the address of its pod is left alone',
  async (family) => {
    await applyRedirect(namespace)
    expect(await ask('pod-0', family === 6 ? '::1' : '127.0.0.1', 8080)).toBe('plain 8080')
    expect(await ask('pod-0', mesh.addressOf('pod-0', family), 8080)).toBe('plain 8080')
  },
)

test.each([4, 6] as const)('IPv%i: the traffic of the user and of the group 1337 is left alone', async (family) => {
  await applyRedirect(namespace)
  const peer = mesh.addressOf('peer-0', family)
  const sidecarUser = ['setpriv', '--reuid=1337', '--regid=1337', '--clear-groups']
  const sidecarGroup = ['setpriv', '--reuid=1000', '--regid=1337', '--clear-groups']
  // Nothing listens on the peer: the refusal proves that the connection left the pod.
  expect(await ask('pod-0', peer, 8080, sidecarUser)).toBe('ECONNREFUSED')
  expect(await ask('pod-0', peer, 8080, sidecarGroup)).toBe('ECONNREFUSED')
})

test.each([4, 6] as const)(
  'IPv%i: ports, ranges of addresses and users that are to be skipped are left alone',
  async (family) => {
    const peer = mesh.addressOf('peer-0', family)
    const pod = mesh.addressOf('pod-0', family)
    const user = ['setpriv', '--reuid=1001', '--regid=1001', '--clear-groups']
    await applyRedirect(namespace, {
      skipInboundPorts: [[9000, 9010]],
      skipOutboundPorts: Array.from({ length: 20 }, (_, index) => 7000 + index),
      skipOutboundUids: [1001],
    })
    expect(await ask('pod-0', peer, 7019)).toBe('ECONNREFUSED')
    expect(await ask('pod-0', peer, 7020)).toContain('outbound')
    expect(await ask('pod-0', peer, 8080, user)).toBe('ECONNREFUSED')
    expect(await ask('peer-0', pod, 9000)).toBe('plain 9000')

    await applyRedirect(namespace, { skipOutboundCIDRs: [`${peer}/${family === 6 ? 128 : 32}`] })
    expect(await ask('pod-0', peer, 8080)).toBe('ECONNREFUSED')
    expect(await ask('peer-0', pod, 9000)).toContain('inbound')
  },
)
