import { X509Certificate } from 'node:crypto'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { CLUSTER_ROLES, MUTATING_WEBHOOKS, SECRETS } from '#shared/kube/objects.ts'
import { logInto } from '../../test/support/certs.ts'
import { type FakeApiServer, startFakeApiServer } from '../../test/support/fake-api-server.ts'
import type { CertificateSource } from './certificate.ts'
import { createSecretCertificate } from './certificate-secret.ts'

const NAMES = ['weft-injector.weft-system.svc']
const SECRET = 'weft-system/weft-injector-tls'
const DAY_MS = 24 * 3600 * 1000

let api: FakeApiServer
let client: KubeClient
let logged: Record<string, unknown>[]
const clock = new ManualClock(Date.now())
const opened: CertificateSource[] = []
beforeEach(async () => {
  api = await startFakeApiServer(SECRETS, MUTATING_WEBHOOKS, CLUSTER_ROLES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  logged = []
  putConfiguration()
})
afterEach(async () => {
  for (const source of opened.splice(0)) source.close()
  client.close()
  await api[Symbol.asyncDispose]()
})

function putConfiguration(): void {
  const clientConfig = { service: { name: 'weft-injector', namespace: 'weft-system', path: '/mutate' } }
  const webhooks = [
    { name: 'a.weft.dev', clientConfig },
    { name: 'b.weft.dev', clientConfig },
  ]
  api.put(MUTATING_WEBHOOKS, { metadata: { name: 'weft-injector' }, webhooks })
}

async function open(names = NAMES): Promise<CertificateSource> {
  const place = { namespace: 'weft-system', name: 'weft-injector-tls' }
  const log = logInto(logged)
  const source = await createSecretCertificate({ client, ...place, names, mutating: ['weft-injector'], clock, log })
  opened.push(source)
  return source
}

interface Webhook {
  readonly clientConfig: { readonly caBundle?: string; readonly service: object }
}
/** The certificates that the API server trusts, the same for all webhooks. */
function trusted(): readonly string[] {
  const webhooks = api.object(MUTATING_WEBHOOKS, 'weft-injector')?.['webhooks'] as readonly Webhook[]
  const bundles = new Set(webhooks.map(({ clientConfig }) => clientConfig.caBundle ?? ''))
  expect(bundles.size).toBe(1)
  const text = Buffer.from([...bundles][0] ?? '', 'base64').toString()
  return text.match(/-----BEGIN[^-]+-----[^-]+-----END[^-]+-----\n/g) ?? []
}
const isTrusted = (source: CertificateSource) => trusted().includes(source.certificate.current.certificate)

async function advanceUntil(byMs: number, test: () => boolean): Promise<void> {
  while (!test()) {
    clock.advance(byMs)
    await new Promise((resolve) => setImmediate(resolve))
  }
}

test('the first replica makes a certificate that the API server trusts before the webhook is served', async () => {
  const source = await open()
  const { certificate, expiresAt } = source.certificate.current
  expect(trusted()).toEqual([certificate])
  expect(new X509Certificate(certificate).checkHost(NAMES[0] ?? '')).toBe(NAMES[0])
  expect(expiresAt.getTime() - clock.wall()).toBeGreaterThan(89 * DAY_MS)
  const webhooks = api.object(MUTATING_WEBHOOKS, 'weft-injector')?.['webhooks'] as readonly Webhook[]
  expect(webhooks[1]?.clientConfig.service).toEqual({
    name: 'weft-injector',
    namespace: 'weft-system',
    path: '/mutate',
  })
})

test('replicas that start together and those that come later show the same one', async () => {
  const sources = [...(await Promise.all([open(), open(), open()])), await open()]
  expect(new Set(sources.map(({ certificate }) => certificate.current.certificate)).size).toBe(1)
})

test('at two thirds it is renewed by all replicas, and at every moment the API server trusts what each shows', async () => {
  const [one, other] = [await open(), await open()]
  const first = one.certificate.current.certificate
  const [renewAt, wasTrusted] = [clock.wall() + 59 * DAY_MS, [] as boolean[]]
  await advanceUntil(DAY_MS, () => clock.wall() > renewAt)
  expect(one.certificate.current.certificate).toBe(first)
  await advanceUntil(10_000, () => {
    wasTrusted.push(isTrusted(one), isTrusted(other))
    return one.certificate.current.certificate !== first && other.certificate.current.certificate !== first
  })
  expect(wasTrusted).not.toContain(false)
  expect(one.certificate.current.certificate).toBe(other.certificate.current.certificate)
  expect(trusted()).toContain(first)
})

test('a certificate that the API server cannot be told of is not shown', async () => {
  const source = await open()
  const first = source.certificate.current.certificate
  const until = clock.wall() + 70 * DAY_MS
  api.refuse('PUT /apis/admissionregistration', 403, 1_000_000)
  await advanceUntil(DAY_MS, () => clock.wall() > until)
  await advanceUntil(60_000, () => logged.some(({ level }) => level === 50))
  const asked = api.requests.length
  await advanceUntil(60_000, () => api.requests.length > asked + 20)
  expect(source.certificate.current.certificate).toBe(first)
  expect(logged.filter(({ level }) => level === 50)).toHaveLength(1)
})

test('a caBundle that somebody has taken away is put back', async () => {
  const source = await open()
  putConfiguration()
  await advanceUntil(10_000, () => isTrusted(source))
})

test('a Secret that was deleted is made anew, and the certificate still shown by others stays trusted', async () => {
  const source = await open()
  const first = source.certificate.current.certificate
  api.remove(SECRETS, SECRET)
  await advanceUntil(10_000, () => trusted().length === 2)
  expect(trusted()).toContain(first)
  expect(isTrusted(source)).toBe(true)
})

test('a Secret with something else in it is made anew', async () => {
  api.put(SECRETS, {
    metadata: { namespace: 'weft-system', name: 'weft-injector-tls' },
    data: { 'tls.crt': 'eA==', 'tls.key': 'eA==' },
  })
  const source = await open()
  expect(isTrusted(source)).toBe(true)
  expect(logged).toContainEqual(expect.objectContaining({ msg: 'the Secret cannot be used; it is made anew' }))
})

test('an installation owns the Secret, also one that was made before it', async () => {
  const first = await open()
  const owners = () => api.object(SECRETS, SECRET)?.metadata.ownerReferences
  expect(owners()).toEqual([])
  api.put(CLUSTER_ROLES, { metadata: { name: 'weft-installation', uid: '1-2-3' } })
  const second = await open()
  expect(owners()).toMatchObject([{ kind: 'ClusterRole', name: 'weft-installation', uid: '1-2-3' }])
  expect(second.certificate.current.certificate).toBe(first.certificate.current.certificate)
})

test('a certificate for another name is replaced at once', async () => {
  const [first, second] = [await open(['other.svc']), await open()]
  expect(new X509Certificate(second.certificate.current.certificate).checkHost(NAMES[0] ?? '')).toBe(NAMES[0])
  expect([isTrusted(first), isTrusted(second)]).toEqual([true, true])
})

test('without its configuration the webhook is served all the same', async () => {
  api.remove(MUTATING_WEBHOOKS, 'weft-injector')
  const source = await open()
  putConfiguration()
  await advanceUntil(10_000, () => isTrusted(source))
})

test('an API server that refuses stops the start with its reason', async () => {
  api.refuse('GET /api/v1/namespaces/weft-system/secrets', 403)
  await expect(open()).rejects.toThrow('get Secret weft-system/weft-injector-tls: 403')
})
