// A real kube-apiserver with its etcd and nothing else: no controllers, no kubelet, so that a test says itself what those would.
// Both listen on loopback, keep their files in a temporary folder and die with this process.
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { parseAllDocuments } from 'yaml'
import { systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import type { KubeConnection } from '#shared/kube/config.ts'
import { isConflict } from '#shared/kube/error.ts'
import { SERVICES } from '#shared/kube/objects.ts'
import { freePorts } from './free-ports.ts'

export interface ApiServer {
  /** As a member of system:masters. */
  readonly connection: KubeConnection
  readonly client: KubeClient
  /** As the service account of control, which may what RBAC says; or as one of whom it says nothing. */
  as(user: 'control' | 'stranger'): KubeConnection
  /** The path of a kubeconfig, for programs. */
  kubeconfig(user: 'admin' | 'control' | 'stranger'): Promise<string>
  /** The API server ends and comes back at the same port, with what etcd holds. */
  restart(): Promise<void>
  installCrd(definition: object): Promise<void>
  /** PEM: what it signs tokens of service accounts with. */
  readonly serviceAccountKey: string
  [Symbol.asyncDispose](): Promise<void>
}

const FOLDERS = [process.env['KUBEBUILDER_ASSETS'], '/var/cache/mesh-cluster/bin']
const isComplete = (folder: string) => ['etcd', 'kube-apiserver'].every((name) => existsSync(join(folder, name)))
const folder = FOLDERS.find((one) => one !== undefined && isComplete(one))

const START_MS = 90_000
const USERS = {
  admin: 'admin,admin,system:masters',
  control: 'system:serviceaccount:weft-system:weft-control,control,system:serviceaccounts',
  stranger: 'system:serviceaccount:shop:web,stranger,system:serviceaccounts',
} as const
type User = keyof typeof USERS

export async function startApiServer(): Promise<ApiServer> {
  if (folder === undefined) {
    throw new Error(
      'no etcd and kube-apiserver: run ../shared/cluster/build etcd kube-apiserver, or set KUBEBUILDER_ASSETS',
    )
  }
  const home = await mkdtemp(join(tmpdir(), 'weft-apiserver-'))
  const running: ChildProcess[] = []
  const stop = async () => {
    for (const child of running.splice(0).reverse()) await end(child)
    await rm(home, { recursive: true, force: true })
  }
  try {
    return await start({ folder, home, running, stop })
  } catch (error) {
    await stop()
    throw error
  }
}

interface Place {
  readonly folder: string
  readonly home: string
  readonly running: ChildProcess[]
  stop(): Promise<void>
}

async function start({ folder: bin, home, running, stop }: Place): Promise<ApiServer> {
  const [etcdPort = 0, peerPort = 0, port = 0] = await freePorts(3)
  const tokens = new Map((Object.keys(USERS) as User[]).map((user) => [user, randomBytes(16).toString('hex')]))
  await writeKeys(home, tokens)
  const begin = (name: string, flags: Readonly<Record<string, string>>) => {
    const child = launch(join(bin, name), flags, home)
    running.push(child)
    return child
  }
  begin('etcd', etcdFlags(home, etcdPort, peerPort))
  let server = begin('kube-apiserver', apiServerFlags(home, etcdPort, port))
  const connectionOf = (user: User): KubeConnection => ({
    server: new URL(`https://127.0.0.1:${port}`),
    credentials: async () => ({
      ca: await readFile(join(home, 'pki/apiserver.crt'), 'utf8'),
      token: tokens.get(user) ?? '',
    }),
  })
  const connection = connectionOf('admin')
  const client = createKubeClient({ connection, clock: systemClock, userAgent: 'weft-test' })
  await untilReady(client, running, home)
  return {
    connection,
    client,
    as: connectionOf,
    kubeconfig: (user) => writeKubeconfig(home, user, connectionOf(user)),
    async restart() {
      await end(server)
      running.splice(running.indexOf(server), 1)
      server = begin('kube-apiserver', apiServerFlags(home, etcdPort, port))
      await untilReady(client, running, home)
    },
    installCrd: (definition) => installCrd(client, definition),
    serviceAccountKey: await readFile(join(home, 'sa.key'), 'utf8'),
    async [Symbol.asyncDispose]() {
      client.close()
      await stop()
    },
  }
}

const etcdFlags = (home: string, port: number, peerPort: number) => ({
  'data-dir': join(home, 'etcd'),
  'unsafe-no-fsync': 'true',
  'log-level': 'warn',
  'listen-client-urls': `http://127.0.0.1:${port}`,
  'advertise-client-urls': `http://127.0.0.1:${port}`,
  'listen-peer-urls': `http://127.0.0.1:${peerPort}`,
  'initial-advertise-peer-urls': `http://127.0.0.1:${peerPort}`,
  'initial-cluster': `default=http://127.0.0.1:${peerPort}`,
})

const apiServerFlags = (home: string, etcdPort: number, port: number) => ({
  'etcd-servers': `http://127.0.0.1:${etcdPort}`,
  'bind-address': '127.0.0.1',
  'advertise-address': '127.0.0.1',
  'secure-port': `${port}`,
  // It makes its own certificate there.
  'cert-dir': join(home, 'pki'),
  'token-auth-file': join(home, 'tokens.csv'),
  'service-account-issuer': 'https://kubernetes.default.svc.cluster.local',
  'service-account-signing-key-file': join(home, 'sa.key'),
  'service-account-key-file': join(home, 'sa.pub'),
  'service-cluster-ip-range': '10.96.0.0/16',
  'authorization-mode': 'RBAC',
  // Nobody makes the service accounts that it asks for.
  'disable-admission-plugins': 'ServiceAccount',
  profiling: 'false',
})

async function writeKeys(home: string, tokens: ReadonlyMap<User, string>): Promise<void> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  await writeFile(join(home, 'sa.key'), privateKey.export({ type: 'sec1', format: 'pem' }))
  await writeFile(join(home, 'sa.pub'), publicKey.export({ type: 'spki', format: 'pem' }))
  const lines = [...tokens].map(([user, token]) => `${token},${USERS[user]}`)
  await writeFile(join(home, 'tokens.csv'), `${lines.join('\n')}\n`, { mode: 0o600 })
}

async function writeKubeconfig(home: string, user: User, { server }: KubeConnection): Promise<string> {
  const path = join(home, `${user}.kubeconfig`)
  const lines = await readFile(join(home, 'tokens.csv'), 'utf8')
  const token = lines
    .split('\n')
    .find((line) => line.endsWith(USERS[user]))
    ?.split(',')[0]
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server: server.origin, 'certificate-authority': 'pki/apiserver.crt' } }],
    users: [{ name: user, user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user } }],
    'current-context': 'test',
  }
  await writeFile(path, JSON.stringify(config), { mode: 0o600 })
  return path
}

function launch(program: string, flags: Readonly<Record<string, string>>, home: string): ChildProcess {
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`)
  // setpriv: the kernel ends them should this process be killed.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', program, ...args], {
    cwd: home,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const lines: string[] = []
  child.stderr.on('data', (chunk: Buffer) => {
    lines.push(chunk.toString())
    if (lines.length > 50) lines.shift()
  })
  return Object.assign(child, { lastWords: () => lines.join('') })
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGTERM')
  const timer = setTimeout(() => child.kill('SIGKILL'), 5_000)
  await exited
  clearTimeout(timer)
}

async function untilReady(client: KubeClient, running: readonly ChildProcess[], home: string): Promise<void> {
  const giveUpAt = Date.now() + START_MS
  for (;;) {
    const ended = running.find((child) => child.exitCode !== null)
    const said = () => running.map((child) => (child as unknown as { lastWords(): string }).lastWords()).join('\n')
    if (ended !== undefined) throw new Error(`${ended.spawnargs.join(' ')} has ended:\n${said()}`)
    if (Date.now() > giveUpAt) throw new Error(`the API server is not ready after ${START_MS} ms (${home}):\n${said()}`)
    if (await isWhole(client)) return
    await sleep(200)
  }
}

const PROBE = { name: 'has-addresses', namespace: 'default' }

/**
 * It answers before it is whole: its own Service comes later, and until it has read its ranges, also after a restart, it says of
 * each new Service "range is full".
 */
async function isWhole(client: KubeClient): Promise<boolean> {
  try {
    await client.get(SERVICES, { name: 'kubernetes', namespace: 'default' })
    await client.create(SERVICES, { metadata: PROBE, spec: { ports: [{ port: 80 }] } })
    await client.remove(SERVICES, PROBE)
    return true
  } catch (error) {
    // Of an attempt whose answer was lost.
    if (isConflict(error)) await client.remove(SERVICES, PROBE).catch(() => {})
    return false
  }
}

const CRDS = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions'
interface Definition {
  readonly metadata: { readonly name: string }
  readonly status?: { readonly conditions?: readonly { readonly type: string; readonly status: string }[] }
}

async function installCrd(client: KubeClient, definition: object): Promise<void> {
  const { name } = (definition as Definition).metadata
  await client.send(`create ${name}`, 'POST', CRDS, definition).catch((error: unknown) => {
    if (!isConflict(error)) throw error
  })
  const giveUpAt = Date.now() + START_MS
  while (Date.now() < giveUpAt) {
    const { status } = (await client.send(`get ${name}`, 'GET', `${CRDS}/${name}`)) as Definition
    if (status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True')) return
    await sleep(50)
  }
  throw new Error(`${name} was not established`)
}

const GATEWAY_API = 'sigs.k8s.io/gateway-api@v1.6.3'

/** The CRDs of the Gateway API that the tests are held to, from its Go module. */
export async function gatewayApiCrd(
  plural: string,
  channel: 'standard' | 'experimental' = 'standard',
): Promise<object> {
  const { stdout } = await promisify(execFile)('go', ['mod', 'download', '-json', GATEWAY_API], { cwd: tmpdir() })
  const { Dir } = JSON.parse(stdout) as { Dir: string }
  const file = join(Dir, `config/crd/${channel}/gateway.networking.k8s.io_${plural}.yaml`)
  const [document] = parseAllDocuments(await readFile(file, 'utf8')).filter(({ contents }) => contents !== null)
  return document?.toJS() as object
}
