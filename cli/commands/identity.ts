// weft identity: who a pod is. Its sidecar tells: by its socket on this machine, by kubectl exec in a cluster, since its admin
// port is on loopback alone and this needs no port to be opened.
import { X509Certificate } from 'node:crypto'
import { join } from 'node:path'
import { requireChainToRoot } from '#shared/identity/pem.ts'
import { PORTS, PROXY_CONTAINER } from '#shared/pod/names.ts'
import type { Context } from '../context.ts'
import { Failure, messageOf } from '../failure.ts'
import { findMesh } from '../find-mesh.ts'
import { findPod } from '../find-pods.ts'
import { askByExec } from '../kubectl.ts'
import { formatTable, paint } from '../terminal.ts'
import { call } from '../up/http.ts'
import { meshPaths } from '../up/paths.ts'
import { knownMeshes } from '../up/state.ts'

export interface IdentityFlags {
  readonly mesh?: string
  /** Of Kubernetes. */
  readonly namespace?: string
  /** Of the kubeconfig. */
  readonly context?: string
  readonly output?: string
}

/** GET /certificates of a sidecar; all null before the first certificate. */
interface Dump {
  readonly id: string | null
  readonly expiresAt: string | null
  readonly chain: string | null
  readonly roots: string | null
}

interface Report {
  readonly pod: string
  readonly identity: string
  readonly serial: string
  readonly issuer: string
  readonly startsAt: string
  readonly expiresAt: string
  /** Whether the certificate leads to a root of the bundle and is good now; if not, why. */
  readonly problem: string | null
}

const LIMIT_MS = 20_000
/** What the image has is node and no shell. */
const SCRIPT = `fetch('http://127.0.0.1:${PORTS.admin}/certificates').then((r) => r.text()).then((t) => process.stdout.write(t))`

/** A cluster is asked where a namespace or a context is named, or no mesh is up here. */
export async function identity(context: Context, pod: string, flags: IdentityFlags): Promise<void> {
  const { terminal, runDirectory } = context
  const isCluster =
    flags.namespace !== undefined ||
    flags.context !== undefined ||
    (flags.mesh === undefined && knownMeshes(runDirectory).length === 0)
  const [name, text] = isCluster ? [pod, await askInCluster(context, pod, flags)] : await askHere(context, pod, flags)
  const report = describe(name, text, Date.now())
  if (flags.output === 'json') terminal.out(JSON.stringify(report, null, 2))
  else {
    const rows = Object.entries(report).filter(([key]) => key !== 'problem')
    terminal.out(formatTable(rows.map(([key, value]) => [WORDS[key] ?? key, String(value)])))
    if (report.problem === null) terminal.out(paint(terminal, 'good', 'The trust bundle of this pod vouches for it.'))
    else terminal.error(`${paint(terminal, 'bad', 'Nobody will trust it:')} ${report.problem}`)
  }
  if (report.problem !== null) process.exitCode = 1
}

const WORDS: Readonly<Record<string, string>> = { startsAt: 'valid from', expiresAt: 'valid until' }

async function askHere({ runDirectory }: Context, word: string, flags: IdentityFlags): Promise<[string, string]> {
  const mesh = findMesh(flags.mesh, runDirectory)
  const pod = findPod(mesh, word)
  if (!pod.isMeshed)
    throw new Failure(`pod ${pod.name} has no sidecar, so no identity`, 'Let it have one: spec.inject: true')
  const socketPath = join(meshPaths(mesh.name, runDirectory).pods, pod.name, 'admin.sock')
  try {
    const { body } = await call({ socketPath, path: '/certificates', timeoutMs: LIMIT_MS })
    return [pod.name, body]
  } catch (error) {
    throw Failure.from(
      error,
      `the sidecar of pod ${pod.name} does not answer: ${messageOf(error)}`,
      `See: weft logs --sidecar ${pod.name}`,
    )
  }
}

async function askInCluster({ environment }: Context, pod: string, flags: IdentityFlags): Promise<string> {
  const place = [
    ...(flags.context === undefined ? [] : ['--context', flags.context]),
    ...(flags.namespace === undefined ? [] : ['--namespace', flags.namespace]),
  ]
  const command = [...place, 'exec', pod, '--container', PROXY_CONTAINER, '--', 'node', '-e', SCRIPT]
  const { error, stdout, stderr } = await askByExec(command, environment, isJson)
  if (error === null) return stdout
  const isMissing = error.code === 'ENOENT'
  // Above its last line kubectl may put its own log.
  const said = isMissing ? 'there is no kubectl on the PATH' : stderr.trim().split('\n').at(-1) || error.message
  const wayOut = isMissing
    ? 'Install kubectl; or, for a mesh on this machine, bring it up first: weft up mesh.yaml'
    : `Has it a sidecar? See: kubectl get pod ${pod} -o jsonpath='{.metadata.annotations.weft\\.dev/status}'`
  throw Failure.from(error, `pod ${pod} cannot be asked: ${said}`, wayOut)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function describe(pod: string, text: string, wallMs: number): Report {
  const { id, expiresAt, chain, roots } = readDump(pod, text)
  if (id === null || chain === null || expiresAt === null || roots === null) {
    throw new Failure(
      `pod ${pod} has no certificate yet`,
      'Its sidecar says why: see its log for "no certificate from certs".',
    )
  }
  const leaf = new X509Certificate(chain)
  let problem: string | null = null
  try {
    requireChainToRoot(chain, roots, wallMs)
  } catch (error) {
    problem = messageOf(error)
  }
  return {
    pod,
    identity: id,
    serial: leaf.serialNumber.toLowerCase(),
    issuer: leaf.issuer.replaceAll('\n', ', '),
    startsAt: leaf.validFromDate.toISOString(),
    expiresAt: new Date(expiresAt).toISOString(),
    problem,
  }
}

function readDump(pod: string, text: string): Dump {
  try {
    return JSON.parse(text) as Dump
  } catch (error) {
    throw Failure.from(
      error,
      `pod ${pod} answered something else: ${text.slice(0, 200)}`,
      'Is its sidecar of another version?',
    )
  }
}
