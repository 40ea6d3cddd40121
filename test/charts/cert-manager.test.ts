// The charts with cert-manager in the place of Weft's own certificates, before a real API server that has cert-manager's CRDs. Its
// controllers are not within reach: the test does what they would, from the very objects of the chart.
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse } from 'yaml'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { type KubeKind, type KubeObject, NAMESPACES, PODS } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { settings, shopPod } from '#shared/pod/pod.fixture.ts'
import { createFileCertificate } from '#shared/webhook/certificate.ts'
import { createInjectorMetrics } from '../../injector/metrics.ts'
import { startWebhook } from '../../injector/webhook.ts'
import { type ApiServer, startApiServer } from '../support/apiserver.ts'
import { chartObjects } from '../support/chart.ts'
import { createNamespace } from '../support/cluster-objects.ts'
import { helmTemplate, weftInstall } from './helm.ts'

const MODULE = 'github.com/cert-manager/cert-manager@v1.18.2'
const OWN = { certificates: { webhook: 'cert-manager', root: 'cert-manager' } }
const GIVEN = {
  certificates: {
    ...OWN.certificates,
    webhookIssuerRef: { kind: 'ClusterIssuer', name: 'corporate' },
    rootIssuerRef: { kind: 'ClusterIssuer', name: 'mesh', group: 'cert-manager.io' },
  },
}

let api: ApiServer
let directory: string
beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'weft-cert-manager-'))
  api = await startApiServer()
  const { Dir } = JSON.parse(
    execFileSync('go', ['mod', 'download', '-json', MODULE], { cwd: tmpdir() }).toString(),
  ) as {
    Dir: string
  }
  for (const plural of ['certificates', 'issuers']) {
    // A template of its chart; what it fills in are labels.
    const text = readFileSync(join(Dir, `deploy/crds/crd-${plural}.yaml`), 'utf8')
    await api.installCrd(parse(text.replaceAll(/\{\{.*?\}\}/g, 'x')) as object)
  }
  await createNamespace(api.client, 'weft-system')
}, 180_000)
afterAll(async () => {
  await api?.[Symbol.asyncDispose]()
  rmSync(directory, { recursive: true, force: true })
})

const kindOf = (object: KubeObject): KubeKind => ({
  group: 'cert-manager.io',
  version: 'v1',
  plural: `${object.kind?.toLowerCase()}s`,
  kind: object.kind ?? '',
  isNamespaced: true,
})
const ofCertManager = (values: object) =>
  chartObjects(values as Record<string, unknown>).filter(({ apiVersion }) => apiVersion === 'cert-manager.io/v1')
const named = (objects: readonly KubeObject[], kind: string, name: string) => {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name)
  if (found === undefined) throw new Error(`the chart has no ${kind} ${name}`)
  return found
}

test("without being asked for, nothing of the chart is cert-manager's", () => {
  expect(JSON.stringify(chartObjects())).not.toContain('cert-manager')
})

test('helm and weft install ask cert-manager for the same, with its issuers or with given ones', () => {
  for (const [name, values] of Object.entries({ own: OWN, given: GIVEN })) {
    const file = join(directory, `${name}.yaml`)
    writeFileSync(file, JSON.stringify(values))
    expect(weftInstall('-f', file)).toBe(helmTemplate('weft', '-f', file))
  }
})

test('the API server takes what cert-manager is asked for, no field left out, with its own issuers or with given ones', async () => {
  const lists: string[][] = []
  for (const values of [OWN, GIVEN]) {
    const objects = ofCertManager(values)
    lists.push(objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`))
    for (const object of objects) {
      const stored = await api.client.create(kindOf(object), object)
      // A field that the CRD does not know would be pruned.
      expect(stored['spec']).toMatchObject(object['spec'] as object)
      await api.client.remove(kindOf(object), object.metadata as { name: string })
    }
  }
  const certificates = ['Certificate weft-control', 'Certificate weft-injector', 'Certificate weft-root']
  expect(lists[0]?.toSorted()).toEqual([
    ...certificates,
    'Certificate weft-webhooks',
    'Issuer weft-self-signed',
    'Issuer weft-webhooks',
  ])
  expect(lists[1]?.toSorted()).toEqual(certificates)
})

test('processes read files then, may touch no Secret and no webhook, and wait for nothing but their own', () => {
  const objects = chartObjects(OWN)
  const injector = JSON.stringify(named(objects, 'Deployment', 'weft-injector'))
  expect(injector).toContain('"secretName":"weft-injector-tls"')
  expect(injector).not.toContain('WEFT_CERTIFICATE_SECRET')
  expect(JSON.stringify(named(objects, 'Deployment', 'weft-control'))).toContain(
    '"secret":{"secretName":"weft-control-tls","optional":true}',
  )
  const rules = objects.filter(({ kind = '' }) => kind.endsWith('Role')).map((role) => JSON.stringify(role['rules']))
  expect(rules.join('\n')).not.toContain('webhookconfigurations')
  expect(rules.filter((text) => text.includes('secrets'))).toEqual([
    '[{"apiGroups":[""],"resources":["secrets"],"resourceNames":["weft-root"],"verbs":["get"]}]',
  ])
  for (const [kind, name] of [
    ['MutatingWebhookConfiguration', 'weft-injector'],
    ['ValidatingWebhookConfiguration', 'weft-control'],
  ] as const)
    expect(named(objects, kind, name).metadata.annotations).toEqual({
      'cert-manager.io/inject-ca-from': `weft-system/${name}`,
    })
})

/** What an issuer would sign for a Certificate of the chart, with openssl; and for "localhost", where the test listens. */
function issue(spec: Readonly<Record<string, unknown>>, generation: number) {
  const path = (name: string) => join(directory, name)
  const run = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' })
  const { dnsNames = [] } = spec as { dnsNames?: readonly string[] }
  const ec = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes']
  if (generation === 1)
    run('req', '-x509', ...ec, '-keyout', 'ca.key', '-out', 'ca.crt', '-days', '30', '-subj', '/CN=weft webhooks')
  run('req', '-new', ...ec, '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', '/')
  const names = [...dnsNames, 'localhost'].map((name) => `DNS:${name}`).join()
  writeFileSync(path('extensions'), `subjectAltName=critical,${names}\nextendedKeyUsage=serverAuth\n`)
  const under = ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-extfile', 'extensions']
  run('x509', '-req', '-in', 'tls.csr', '-out', 'tls.crt', '-days', '1', ...under)
  return { certificateFile: path('tls.crt'), keyFile: path('tls.key'), authority: readFileSync(path('ca.crt')) }
}

test('the API server trusts what cert-manager has signed, and a renewal refuses no pod', async () => {
  const objects = chartObjects(OWN)
  const { spec } = named(objects, 'Certificate', 'weft-injector') as KubeObject & { spec: Record<string, unknown> }
  expect(spec['dnsNames']).toEqual(['weft-injector.weft-system.svc'])
  const { authority, ...files } = issue(spec, 1)
  const clock = new ManualClock()
  const source = createFileCertificate({ ...files, clock, log: silentLog })
  const webhook = await startWebhook({
    settings,
    ownNamespace: 'weft-system',
    namespaces: { labelsOf: () => ({ 'weft.dev/inject': 'enabled' }) },
    reporter: { refused() {} },
    log: silentLog,
    certificate: source.certificate,
    metrics: createInjectorMetrics(() => new Date()),
    port: 0,
    maxConcurrent: 8,
    requestTimeoutMs: 4000,
    now: systemClock.now,
  })
  try {
    // As its injector of authorities writes them, once: the authority outlives the certificates.
    const clientConfig = { url: `https://localhost:${webhook.port}/mutate`, caBundle: authority.toString('base64') }
    const found = named(objects, 'MutatingWebhookConfiguration', 'weft-injector')
    const webhooks = (found['webhooks'] as readonly object[]).map((one) => ({ ...one, clientConfig }))
    const group = 'admissionregistration.k8s.io'
    const plural = 'mutatingwebhookconfigurations'
    const kind = { group, version: 'v1', plural, kind: found.kind ?? '', isNamespaced: false }
    await api.client.create(kind, { metadata: found.metadata, webhooks })
    await api.client.create(NAMESPACES, { metadata: { name: 'shop', labels: { 'weft.dev/inject': 'enabled' } } })
    let made = 0
    const isInjected = async () => {
      const pod = {
        metadata: { namespace: 'shop', name: `pod-${++made}` },
        spec: { ...shopPod().spec, serviceAccountName: 'a' },
      }
      return JSON.stringify(await api.client.create(PODS, pod)).includes('weft-proxy')
    }
    for (let tries = 0; tries < 300 && !(await isInjected()); tries++);
    const shown = () => createHash('sha256').update(source.certificate.current.certificate).digest('hex')
    const first = shown()

    issue(spec, 2)
    clock.advance(5000)

    expect(shown()).not.toBe(first)
    webhook.drain()
    for (let times = 0; times < 5; times++) expect(await isInjected()).toBe(true)
  } finally {
    await webhook.close(0)
    source.close()
  }
})
