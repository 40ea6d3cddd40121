// Where the API server is and how to prove who asks: from the files of a pod, or from a kubeconfig. Files are read anew for
// each request, since the kubelet replaces a pod's token every hour and its CA bundle at any time.
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { parse } from 'yaml'

export interface Credentials {
  /** PEM; undefined: the authorities that Node knows. */
  readonly ca?: string
  readonly cert?: string
  readonly key?: string
  readonly token?: string
  /** The name that the server's certificate must have where it differs from the URL's. */
  readonly servername?: string
  /** False: the server may be anybody. Only a kubeconfig can say so. */
  readonly rejectUnauthorized?: boolean
}

export interface KubeConnection {
  readonly server: URL
  /** Rejects with an Error that names the file that cannot be read. */
  credentials(): Promise<Credentials>
}

const SERVICE_ACCOUNT_FOLDER = '/var/run/secrets/kubernetes.io/serviceaccount'

/** `host` and `port` are what the kubelet puts into KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT. */
export function inCluster(host: string, port: string, folder = SERVICE_ACCOUNT_FOLDER): KubeConnection {
  return {
    server: new URL(`https://${host.includes(':') ? `[${host}]` : host}:${port}`),
    async credentials() {
      const [ca, token] = await Promise.all([read(resolve(folder, 'ca.crt')), read(resolve(folder, 'token'))])
      return { ca, token: token.trim() }
    },
  }
}

interface Kubeconfig {
  readonly 'current-context'?: string
  readonly contexts?: readonly Named<'context', { readonly cluster?: string; readonly user?: string }>[] | null
  readonly clusters?: readonly Named<'cluster', Cluster>[] | null
  readonly users?: readonly Named<'user', User>[] | null
}
type Named<K extends string, T> = { readonly name?: string } & { readonly [P in K]?: T | null }

interface Cluster {
  readonly server?: string
  readonly 'certificate-authority'?: string
  readonly 'certificate-authority-data'?: string
  readonly 'insecure-skip-tls-verify'?: boolean
  readonly 'tls-server-name'?: string
  readonly 'proxy-url'?: string
}

interface User {
  readonly 'client-certificate'?: string
  readonly 'client-certificate-data'?: string
  readonly 'client-key'?: string
  readonly 'client-key-data'?: string
  readonly token?: string
  readonly tokenFile?: string
  readonly username?: string
  readonly exec?: unknown
  readonly 'auth-provider'?: unknown
}

/** Of the current context. Throws an Error that names the file and what is missing or not supported. */
export function parseKubeconfig(path: string, text: string): KubeConnection {
  const fail = (what: string) => new Error(`${path}: ${what}`)
  const { cluster, user } = chosen(path, text)
  if (cluster.server === undefined) throw fail('the cluster has no server')
  if (cluster['proxy-url'] !== undefined) throw fail('proxy-url is not supported')
  for (const key of ['exec', 'auth-provider', 'username'] as const) {
    if (user[key] !== undefined)
      throw fail(`the user's ${key} is not supported; a token, tokenFile or client certificate is`)
  }
  const folder = dirname(path)
  const pem = async (data: string | undefined, file: string | undefined) => {
    if (data !== undefined) return Buffer.from(data, 'base64').toString('utf8')
    return file === undefined ? undefined : read(resolve(folder, file))
  }
  return {
    server: new URL(cluster.server),
    async credentials() {
      const [ca, cert, key, token] = await Promise.all([
        pem(cluster['certificate-authority-data'], cluster['certificate-authority']),
        pem(user['client-certificate-data'], user['client-certificate']),
        pem(user['client-key-data'], user['client-key']),
        user.token ?? (user.tokenFile && read(resolve(folder, user.tokenFile))),
      ])
      return {
        ...(ca !== undefined && { ca }),
        ...(cert !== undefined && { cert }),
        ...(key !== undefined && { key }),
        ...(token !== undefined && { token: token.trim() }),
        ...(cluster['tls-server-name'] !== undefined && { servername: cluster['tls-server-name'] }),
        ...(cluster['insecure-skip-tls-verify'] === true && { rejectUnauthorized: false }),
      }
    },
  }
}

function chosen(path: string, text: string): { cluster: Cluster; user: User } {
  const fail = (what: string) => new Error(`${path}: ${what}`)
  const config: Kubeconfig | null = parse(text)
  const name = config?.['current-context']
  if (!name) throw fail('no current-context')
  const context = config?.contexts?.find((one) => one.name === name)?.context
  if (!context) throw fail(`no context ${name}`)
  const cluster = config?.clusters?.find((one) => one.name === context.cluster)?.cluster
  if (!cluster) throw fail(`no cluster ${context.cluster}`)
  const user = config?.users?.find((one) => one.name === context.user)?.user
  return { cluster, user: user ?? {} }
}

export async function readKubeconfig(path: string): Promise<KubeConnection> {
  return parseKubeconfig(path, await read(path))
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    throw new Error(`cannot read ${path}`, { cause: error })
  }
}
