// Pods and tokens for tests of certs: in a real API server, or in a fake one that is told what a real one would say.
import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { KubeClient } from '#shared/kube/client.ts'
import type { KubeConnection } from '#shared/kube/config.ts'
import { CONFIG_MAPS, type KubeKind, type KubeObject, NAMESPACES, PODS, pathOf, SECRETS } from '#shared/kube/objects.ts'
import { startApiServer } from './apiserver.ts'
import { startTokenApiServer } from './token-reviews.ts'

export interface TestPod {
  readonly name: string
  readonly serviceAccount: string
  readonly uid: string
}

/** own: what a sidecar has. Each other one is what somebody might try instead. */
export type TokenKind =
  | 'own'
  | 'other audience'
  | 'for the API server'
  | 'expired'
  | 'unbound'
  | 'of a Secret'
  | 'of another cluster'

export interface KubernetesWorld extends AsyncDisposable {
  /** For certs, with no more rights than it has in a cluster. */
  readonly kubeconfig: string
  /** In namespace shop. The name may have been another pod's. */
  putPod(name: string, serviceAccount: string, address: string): Promise<TestPod>
  deletePod(pod: TestPod): Promise<void>
  tokenOf(pod: TestPod, kind: TokenKind): Promise<string>
}

const AUDIENCE = 'weft.dev/certs'
const ISSUER = 'https://kubernetes.default.svc.cluster.local'
const NAMESPACE = 'shop'
const USERNAME = (serviceAccount: string) => `system:serviceaccount:${NAMESPACE}:${serviceAccount}`
const podOf = (name: string, serviceAccount: string) => ({
  metadata: { namespace: NAMESPACE, name },
  spec: { serviceAccountName: serviceAccount, containers: [{ name: 'app', image: 'app' }] },
})
const statusOf = (address: string) => ({ phase: 'Running', podIP: address, podIPs: [{ ip: address }] })

function writeKubeconfig(server: URL, credentials: { readonly ca?: string; readonly token?: string }) {
  const directory = mkdtempSync(join(tmpdir(), 'weft-kubeconfig-'))
  const file = join(directory, 'config')
  const authority = credentials.ca && { 'certificate-authority-data': Buffer.from(credentials.ca).toString('base64') }
  const document = {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'c' } }],
    clusters: [{ name: 'c', cluster: { server: server.href, ...authority } }],
    users: [{ name: 'c', user: { token: credentials.token } }],
  }
  writeFileSync(file, JSON.stringify(document), { mode: 0o600 })
  return { file, remove: () => rmSync(directory, { recursive: true }) }
}

/** A JSON Web Token, ES256. */
function signToken(key: KeyObject, claims: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const text = `${part({ alg: 'ES256', typ: 'JWT' })}.${part(claims)}`
  const signature = sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })
  return `${text}.${signature.toString('base64url')}`
}

interface Claimed {
  readonly pod: TestPod
  readonly serviceAccountUid: string
  readonly endsInSeconds: number
}

function claimsOf({ pod, serviceAccountUid, endsInSeconds }: Claimed): object {
  const now = Math.floor(Date.now() / 1000)
  return {
    iss: ISSUER,
    aud: [AUDIENCE],
    sub: USERNAME(pod.serviceAccount),
    iat: now - 7200,
    nbf: now - 7200,
    exp: now + endsInSeconds,
    jti: crypto.randomUUID(),
    'kubernetes.io': {
      namespace: NAMESPACE,
      pod: { name: pod.name, uid: pod.uid },
      serviceaccount: { name: pod.serviceAccount, uid: serviceAccountUid },
    },
  }
}

export async function startFakeWorld(): Promise<KubernetesWorld> {
  const server = await startTokenApiServer(PODS, SECRETS, CONFIG_MAPS, NAMESPACES)
  const kubeconfig = writeKubeconfig(server.connection.server, { token: 'fake' })
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  let made = 0
  const reviewOf = (pod: TestPod, kind: TokenKind): object => {
    const username = USERNAME(pod.serviceAccount)
    const bound = {
      'authentication.kubernetes.io/pod-name': [pod.name],
      'authentication.kubernetes.io/pod-uid': [pod.uid],
    }
    if (kind === 'own') return { authenticated: true, audiences: [AUDIENCE], user: { username, extra: bound } }
    if (kind === 'unbound') return { authenticated: true, audiences: [AUDIENCE], user: { username, extra: {} } }
    return { authenticated: false, error: `a token ${kind}` }
  }
  return {
    kubeconfig: kubeconfig.file,
    async putPod(name, serviceAccount, address) {
      const uid = `uid-${++made}`
      const pod = podOf(name, serviceAccount)
      server.api.put(PODS, { ...pod, metadata: { ...pod.metadata, uid }, status: statusOf(address) })
      return { name, serviceAccount, uid }
    },
    async deletePod(pod) {
      server.api.remove(PODS, `${NAMESPACE}/${pod.name}`)
    },
    async tokenOf(pod, kind) {
      const token = signToken(privateKey, claimsOf({ pod, serviceAccountUid: '', endsInSeconds: 600 }))
      server.vouch(token, reviewOf(pod, kind))
      return token
    },
    async [Symbol.asyncDispose]() {
      kubeconfig.remove()
      await server[Symbol.asyncDispose]()
    },
  }
}

/** What docs/identity.md says that certs needs, and no more. */
const EVERYWHERE = [
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
  { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
  {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: ['weft-trust-bundle'],
    verbs: ['get', 'create', 'patch', 'delete'],
  },
]
const OWN = [
  { apiGroups: [''], resources: ['secrets'], verbs: ['create'] },
  { apiGroups: [''], resources: ['secrets'], resourceNames: ['weft-root'], verbs: ['get'] },
]

const core = (plural: string, kind: string): KubeKind => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  isNamespaced: true,
})
const SERVICE_ACCOUNTS = core('serviceaccounts', 'ServiceAccount')

export interface RealWorld extends KubernetesWorld {
  /** With all rights. */
  readonly client: KubeClient
  /** Whether the API server takes the token for itself, so that certs is known to refuse more than that one does. */
  isTaken(token: string): Promise<boolean>
  /** Made here with the key of the API server: as good as its own. */
  forge(pod: TestPod): string
}

export async function startRealWorld(): Promise<RealWorld> {
  const server = await startApiServer()
  const { client } = server
  const put = (kind: KubeKind, object: KubeObject) => client.create(kind, object)
  for (const name of [NAMESPACE, 'weft-system', 'quiet']) {
    const labels: Record<string, string> = name === NAMESPACE ? { 'weft.dev/inject': 'enabled' } : {}
    await put(NAMESPACES, { metadata: { name, labels } })
  }
  await put(SERVICE_ACCOUNTS, { metadata: { namespace: 'weft-system', name: 'weft-certs' } })
  const uids = new Map<string, string>()
  for (const name of ['web', 'admin']) {
    const { metadata } = await put(SERVICE_ACCOUNTS, { metadata: { namespace: NAMESPACE, name } })
    uids.set(name, metadata.uid ?? '')
  }
  await grant(client, 'weft-certs')
  const kubeconfig = await kubeconfigOf(client, server.connection)
  const key = createPrivateKey(server.serviceAccountKey)
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey
  const claimed = (pod: TestPod, endsInSeconds: number) =>
    claimsOf({ pod, serviceAccountUid: uids.get(pod.serviceAccount) ?? '', endsInSeconds })
  return {
    client,
    kubeconfig: kubeconfig.file,
    async putPod(name, serviceAccount, address) {
      const { metadata } = await put(PODS, podOf(name, serviceAccount))
      await client.patch(PODS, { namespace: NAMESPACE, name }, { status: statusOf(address) }, { subresource: 'status' })
      return { name, serviceAccount, uid: metadata.uid ?? '' }
    },
    deletePod: ({ name }) => client.remove(PODS, { namespace: NAMESPACE, name }),
    async tokenOf(pod, kind) {
      if (kind === 'own') return requestToken(client, pod, { audience: AUDIENCE, isBound: true })
      if (kind === 'other audience') return requestToken(client, pod, { audience: 'vault', isBound: true })
      if (kind === 'for the API server') return requestToken(client, pod, { audience: ISSUER, isBound: true })
      if (kind === 'unbound') return requestToken(client, pod, { audience: AUDIENCE, isBound: false })
      if (kind === 'expired') return signToken(key, claimed(pod, -60))
      if (kind === 'of another cluster') return signToken(stranger, claimed(pod, 3600))
      return legacyToken(client, key, pod, uids.get(pod.serviceAccount) ?? '')
    },
    forge: (pod) => signToken(key, claimed(pod, 3600)),
    async isTaken(token) {
      const answer = await client.send('review', 'POST', '/apis/authentication.k8s.io/v1/tokenreviews', {
        spec: { token },
      })
      return (answer as { status: { authenticated?: boolean } }).status.authenticated === true
    },
    async [Symbol.asyncDispose]() {
      kubeconfig.remove()
      await server[Symbol.asyncDispose]()
    },
  }
}

async function grant(client: KubeClient, name: string): Promise<void> {
  const rbac = '/apis/rbac.authorization.k8s.io/v1'
  const subjects = [{ kind: 'ServiceAccount', name, namespace: 'weft-system' }]
  const roleRef = (kind: string) => ({ apiGroup: 'rbac.authorization.k8s.io', kind, name })
  const metadata = { name }
  const own = `${rbac}/namespaces/weft-system`
  await client.send('grant', 'POST', `${rbac}/clusterroles`, { metadata, rules: EVERYWHERE })
  await client.send('grant', 'POST', `${rbac}/clusterrolebindings`, {
    metadata,
    subjects,
    roleRef: roleRef('ClusterRole'),
  })
  await client.send('grant', 'POST', `${own}/roles`, { metadata, rules: OWN })
  await client.send('grant', 'POST', `${own}/rolebindings`, { metadata, subjects, roleRef: roleRef('Role') })
}

async function kubeconfigOf(client: KubeClient, { server, credentials }: KubeConnection) {
  const path = `${pathOf(SERVICE_ACCOUNTS, { namespace: 'weft-system', name: 'weft-certs' })}/token`
  const answer = await client.send('request a token', 'POST', path, { spec: { expirationSeconds: 3600 } })
  const { ca } = await credentials()
  const { token } = (answer as { status: { token: string } }).status
  return writeKubeconfig(server, { token, ...(ca !== undefined && { ca }) })
}

async function requestToken(
  client: KubeClient,
  pod: TestPod,
  { audience, isBound }: { readonly audience: string; readonly isBound: boolean },
): Promise<string> {
  const path = `${pathOf(SERVICE_ACCOUNTS, { namespace: NAMESPACE, name: pod.serviceAccount })}/token`
  const boundObjectRef = { apiVersion: 'v1', kind: 'Pod', name: pod.name, uid: pod.uid }
  const spec = { audiences: [audience], expirationSeconds: 600, ...(isBound && { boundObjectRef }) }
  const answer = await client.send('request a token', 'POST', path, { spec })
  return (answer as { status: { token: string } }).status.token
}

/** As the controller of service accounts made them before Kubernetes 1.24: without end, audience or pod. */
async function legacyToken(client: KubeClient, key: KeyObject, pod: TestPod, uid: string): Promise<string> {
  const name = `legacy-${pod.serviceAccount}`
  const token = signToken(key, {
    iss: 'kubernetes/serviceaccount',
    sub: USERNAME(pod.serviceAccount),
    'kubernetes.io/serviceaccount/namespace': NAMESPACE,
    'kubernetes.io/serviceaccount/secret.name': name,
    'kubernetes.io/serviceaccount/service-account.name': pod.serviceAccount,
    'kubernetes.io/serviceaccount/service-account.uid': uid,
  })
  const annotations = {
    'kubernetes.io/service-account.name': pod.serviceAccount,
    'kubernetes.io/service-account.uid': uid,
  }
  await client.create(SECRETS, {
    metadata: { namespace: NAMESPACE, name, annotations },
    type: 'kubernetes.io/service-account-token',
    data: { token: Buffer.from(token).toString('base64') },
  })
  return token
}
