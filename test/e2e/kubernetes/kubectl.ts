// kubectl against the cluster of ../shared/cluster, or that of KUBECONFIG.
import { execFile } from 'node:child_process'
import { join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../../..')
export const SHARED = join(ROOT, '../shared')
export const STATE = process.env['MESH_CLUSTER_DIR'] ?? '/var/cache/mesh-cluster'
export const KUBECONFIG = process.env['KUBECONFIG'] ?? join(STATE, 'kubeconfig')

/**
 * The cluster's own kubectl comes first: a machine may have one of an older Kubernetes, which loses output of exec
 * (cli/kubectl.ts). Somebody else's cluster has the kubectl that belongs to it on the PATH.
 */
export const PATH = [
  ...(process.env['KUBECONFIG'] === undefined ? [join(STATE, 'bin')] : []),
  process.env['PATH'],
  ...[join(STATE, 'bin'), '/usr/sbin', '/sbin'],
].join(':')

export interface Ended {
  readonly status: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs to the end and throws nothing: who calls judges the status. */
export function run(file: string, argv: readonly string[], input = '', more: NodeJS.ProcessEnv = {}): Promise<Ended> {
  const environment = { ...process.env, ...more, KUBECONFIG, PATH }
  return new Promise((resolve, reject) => {
    const options = { cwd: ROOT, env: environment, maxBuffer: 64 * 1024 * 1024 }
    const child = execFile(file, argv, options, (error, stdout, stderr) => {
      if (error !== null && typeof error.code === 'string') reject(error)
      else resolve({ status: child.exitCode ?? -1, stdout, stderr })
    })
    child.stdin?.end(input)
  })
}

/** Throws what the program says where it fails. */
export async function succeed(file: string, argv: readonly string[], input = ''): Promise<string> {
  const { status, stdout, stderr } = await run(file, argv, input)
  if (status !== 0) throw new Error(`${file} ${argv.join(' ')} ended with ${status}:\n${stderr}${stdout.slice(-4000)}`)
  return stdout
}

export const kubectl = (...argv: readonly string[]): Promise<string> => succeed('kubectl', argv)

/** YAML, or objects. */
export function apply(namespace: string, documents: string | readonly object[]): Promise<string> {
  const list = { apiVersion: 'v1', kind: 'List', items: documents }
  const text = typeof documents === 'string' ? documents : JSON.stringify(list)
  return succeed('kubectl', ['-n', namespace, 'apply', '-f', '-'], text)
}

export async function get<T>(namespace: string, ...argv: readonly string[]): Promise<T> {
  return JSON.parse(await kubectl('-n', namespace, 'get', '-o', 'json', ...argv)) as T
}

interface ContainerStatus {
  readonly name: string
  readonly restartCount: number
}

export interface Pod {
  readonly metadata: {
    readonly name: string
    readonly labels?: Readonly<Record<string, string>>
    readonly deletionTimestamp?: string
  }
  readonly spec: {
    readonly initContainers?: readonly { readonly name: string; readonly restartPolicy?: string }[]
    readonly containers: readonly {
      readonly name: string
      readonly readinessProbe?: { readonly httpGet?: { readonly path: string; readonly port: number } }
    }[]
  }
  readonly status: {
    readonly phase: string
    readonly podIP?: string
    readonly conditions?: readonly { readonly type: string; readonly status: string }[]
    readonly containerStatuses?: readonly ContainerStatus[]
    readonly initContainerStatuses?: readonly ContainerStatus[]
  }
}

export const namesOf = (pods: readonly Pod[]): readonly string[] => pods.map(({ metadata }) => metadata.name)
export const isReady = ({ status }: Pod): boolean =>
  status.conditions?.some(({ type, status }) => type === 'Ready' && status === 'True') === true

/** Those that stay. */
export async function podsOf(namespace: string, selector = ''): Promise<readonly Pod[]> {
  const { items } = await get<{ items: readonly Pod[] }>(namespace, 'pods', '-l', selector)
  return items.filter(({ metadata }) => metadata.deletionTimestamp === undefined)
}

/** Lines of the access log of all sidecars that a selector finds. */
export async function accessLogOf(namespace: string, selector: string): Promise<readonly Record<string, unknown>[]> {
  const text = await kubectl('-n', namespace, 'logs', '-l', selector, '-c', 'weft-proxy', '--tail=-1')
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
