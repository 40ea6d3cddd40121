// The validating webhook of control behind a real API server, registered as the chart has it and with no more rights than control
// has: what kubectl then says.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { get } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { HTTP_ROUTES, TRAFFIC_POLICIES, VALIDATING_WEBHOOKS } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { customResourceDefinitions } from '#shared/resources/crd/definitions.ts'
import { until } from '#shared/watch.ts'
import { createSecretCertificate } from '#shared/webhook/certificate-secret.ts'
import { makeSelfSigned } from '#shared/webhook/self-signed.ts'
import { readControlConfig } from '../../control/config.ts'
import { createControlMetrics } from '../../control/metrics.ts'
import type { Model } from '../../control/model/compile.ts'
import { openSource } from '../../control/source.ts'
import { startValidation, type Validation } from '../../control/validate/serve.ts'
import { type KubernetesWatch, watchKubernetes } from '../../control/watch/kubernetes.ts'
import { type ApiServer, gatewayApiCrd, startApiServer } from '../support/apiserver.ts'
import { chartObjects } from '../support/chart.ts'
import { grantAsChart } from '../support/chart-rules.ts'
import { createNamespace, createService } from '../support/cluster-objects.ts'
import { freePorts } from '../support/free-ports.ts'

const KUBECTL = join(process.env['KUBEBUILDER_ASSETS'] ?? '/var/cache/mesh-cluster/bin', 'kubectl')
const SOON = () => AbortSignal.timeout(30_000)
const parts = { clock: systemClock, random: Math.random, log: silentLog }

describe('routes and policies on their way into a real API server', () => {
  let api: ApiServer
  let client: KubeClient
  let watch: KubernetesWatch
  let validation: Validation
  const metrics = createControlMetrics()
  let kubeconfig: string

  const startValidating = (webhookPort: number) =>
    startValidation({
      ...parts,
      model: watch.model,
      ownNamespace: 'weft-system',
      openCertificate: () =>
        createSecretCertificate({
          ...parts,
          client,
          namespace: 'weft-system',
          name: 'weft-control-certificate',
          names: ['localhost'],
          mutating: [],
          validating: ['weft-control'],
        }),
      webhookPort,
      shutdownDelayMs: 0,
      drainTimeoutMs: 0,
      onReview: metrics.onReview,
    })

  beforeAll(async () => {
    api = await startApiServer()
    kubeconfig = await api.kubeconfig('admin')
    for (const definition of customResourceDefinitions()) await api.installCrd(definition)
    for (const plural of ['httproutes', 'referencegrants']) await api.installCrd(await gatewayApiCrd(plural))
    for (const name of ['shop', 'data', 'weft-system']) await createNamespace(api.client, name)
    await createService(api.client, 'shop', 'catalog')
    await createService(api.client, 'shop', 'ledger', { clusterIP: 'None' })
    await createService(api.client, 'data', 'redis')
    await grantAsChart(api.client)
    client = createKubeClient({ connection: api.as('control'), clock: systemClock, userAgent: 'weft-control' })
    const facts = { trustDomain: 'weft.local', systemNamespace: 'weft-system', controlService: 'weft-control' }
    watch = watchKubernetes({ ...parts, ...facts, client })
    await until(watch.model, (model) => model !== undefined, SOON())
    await register()
  }, 120_000)
  afterAll(async () => {
    await validation?.close()
    watch?.close()
    client?.close()
    await api?.[Symbol.asyncDispose]()
  }, 120_000)

  /** As the chart does, but asked at a port of this process. The caBundle is control's to fill in. */
  async function register(): Promise<void> {
    const [found] = chartObjects().filter(({ kind }) => kind === 'ValidatingWebhookConfiguration')
    if (found === undefined) throw new Error('the chart has no ValidatingWebhookConfiguration')
    const open = startValidating(0)
    const port = await open.listening
    const clientConfig = { url: `https://localhost:${port}/validate` }
    const webhooks = (found['webhooks'] as readonly object[]).map((webhook) => ({ ...webhook, clientConfig }))
    await api.client.create(VALIDATING_WEBHOOKS, { metadata: found.metadata, webhooks })
    await open.close()
    // It looks at the configuration when it starts, and then each 10 s.
    validation = startValidating(port)
    await validation.listening
    for (let tries = 0; tries < 300; tries++)
      if ((await apply('HTTPRoute', `asked-${tries}`, BAD)).includes('denied')) return
    throw new Error('the API server does not ask')
  }

  const targetRefs = [{ group: '', kind: 'Service', name: 'catalog' }]

  test('each review is counted by how it ended, and how long it took', async () => {
    const page = () => metrics.render({ sidecars: 0, isLeader: undefined, kinds: [], gatewayApi: undefined })
    const countOf = (name: string) => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(page())?.[1])
    const names = ['denied', 'accepted'].map((outcome) => `weft_control_reviews_total\\{outcome="${outcome}"\\}`)
    const before = [...names, 'weft_control_review_duration_seconds_count'].map(countOf)
    expect(await apply('TrafficPolicy', 'counted', { targetRefs, timeouts: { request: '1s' } })).toContain('created')
    expect(await apply('HTTPRoute', 'refused', BAD)).toContain('denied')
    const after = [...names, 'weft_control_review_duration_seconds_count'].map(countOf)
    expect(after.map((count, index) => count - (before[index] ?? 0))).toEqual([1, 1, 2])
    await api.client.remove(TRAFFIC_POLICIES, { namespace: 'shop', name: 'counted' })
  })

  /** What kubectl says. */
  async function apply(kind: string, name: string, spec: object, namespace = 'shop'): Promise<string> {
    const group = kind === 'HTTPRoute' ? 'gateway.networking.k8s.io/v1' : 'weft.dev/v1alpha1'
    // Its authority is a path beside the kubeconfig.
    const child = spawn(KUBECTL, ['--kubeconfig', kubeconfig, 'apply', '-f', '-'], { cwd: join(kubeconfig, '..') })
    const said = { out: '', error: '' }
    child.stdout.on('data', (chunk: Buffer) => (said.out += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (said.error += chunk.toString()))
    child.stdin.end(JSON.stringify({ apiVersion: group, kind, metadata: { name, namespace }, spec }))
    await once(child, 'close')
    return said.error + said.out
  }
  const route = (rule: object, name = 'catalog') => ({
    parentRefs: [{ group: '', kind: 'Service', name }],
    rules: [rule],
  })

  // The CRD takes it, nobody can match with it.
  const BAD = route({ matches: [{ path: { type: 'RegularExpression', value: '/a(' } }] })

  test('a regular expression that nothing can match with is refused by kubectl with field, text and reason', async () => {
    expect(await apply('HTTPRoute', 'bad', BAD)).toContain(
      'admission webhook "routes.validate.weft.dev" denied the request: HTTPRoute shop/bad: spec.rules[0].matches[0].path.value: found "/a("; want a regular expression in RE2 syntax',
    )
  })

  test('what depends on other objects is stored, with warnings that name them', async () => {
    const refs = [
      { name: 'cart', port: 80 },
      { name: 'redis', namespace: 'data', port: 80 },
    ]
    expect(await apply('HTTPRoute', 'early', route({ backendRefs: refs }))).toBe(
      'Warning: weft: HTTPRoute shop/early on Service shop/catalog: BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service shop/cart; spec.rules[0].backendRefs[1]: Service data/redis is in another namespace, and no ReferenceGrant in data lets ...\n' +
        'Warning: weft: ... HTTPRoutes of shop refer to it\n' +
        'httproute.gateway.networking.k8s.io/early created\n',
    )
    expect(await apply('HTTPRoute', 'headless', route({}, 'ledger'))).toContain('Service shop/ledger is headless')
    const spec = { targetRefs, timeouts: { request: '1s' } }
    expect(await apply('TrafficPolicy', 'first', spec)).toBe('trafficpolicy.weft.dev/first created\n')
  })

  test('what Weft does not support yet is stored, with a warning that names the field', async () => {
    const requestMirror = { backendRef: { name: 'catalog', port: 80 } }
    expect(await apply('HTTPRoute', 'later', route({ filters: [{ type: 'RequestMirror', requestMirror }] }))).toBe(
      'Warning: weft: HTTPRoute shop/later on Service shop/catalog: UnsupportedValue: not in force: spec.rules[0].filters: found a field that is not supported yet (RequestMirror); want it left out\n' +
        'httproute.gateway.networking.k8s.io/later created\n',
    )
  })

  test('a policy that quarrels with an older one is stored, and the older one is named', async () => {
    const isKnown = (model: Model | undefined): model is Model =>
      model?.documents.some(({ name }) => name.endsWith('shop/first')) === true
    await until(watch.model, isKnown, SOON())
    const spec = { targetRefs, timeouts: { request: '2s' } }

    expect(await apply('TrafficPolicy', 'second', spec)).toMatch(
      /^Warning: weft: TrafficPolicy shop\/second on Service shop\/catalog: Conflicted: spec\.timeouts\.request is set by TrafficPolicy shop\/first, which is older.*\ntrafficpolicy\.weft\.dev\/second created\n$/,
    )
  })

  test('what is stored already can lose its finalizers and be deleted, whatever its spec says', async () => {
    const metadata = { namespace: 'shop', name: 'old', finalizers: ['example.com/hold'] }
    const { port } = new URL((await urls())[0] ?? '')
    await validation.close()
    const spec = BAD
    await api.client.create(HTTP_ROUTES, { metadata: metadata as object, spec })
    validation = startValidating(Number(port))
    await validation.listening

    expect(await apply('HTTPRoute', 'new', spec)).toContain('denied the request')
    await api.client.patch(HTTP_ROUTES, metadata, { metadata: { finalizers: null } })
    await api.client.remove(HTTP_ROUTES, metadata)
  })

  async function urls(): Promise<readonly string[]> {
    const found = await api.client.get(VALIDATING_WEBHOOKS, { name: 'weft-control' })
    return (found['webhooks'] as { clientConfig: { url: string } }[]).map(({ clientConfig }) => clientConfig.url)
  }

  test('kube-system and the namespace of Weft are never asked about, and nobody is while control is away', async () => {
    const bad = BAD
    for (const namespace of ['kube-system', 'weft-system'])
      expect(await apply('HTTPRoute', 'bad', bad, namespace)).toContain('created')
    expect(await apply('HTTPRoute', 'bad', bad)).toContain('denied the request')

    await validation.close()

    expect(await apply('HTTPRoute', 'bad', bad)).toBe('httproute.gateway.networking.k8s.io/bad created\n')
  })

  test('control starts without a certificate and checks when it finds one, as cert-manager brings it', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-validate-'))
    const files = { WEFT_CERTIFICATE_FILE: join(directory, 'tls.crt'), WEFT_KEY_FILE: join(directory, 'tls.key') }
    const [port = 0] = await freePorts(1)
    const settings = { WEFT_SOURCE: 'kubernetes', WEFT_VALIDATE: 'true', WEFT_SHUTDOWN_DELAY: '0s' }
    const environment = { ...settings, ...files, WEFT_WEBHOOK_PORT: `${port}`, KUBECONFIG: kubeconfig }
    // It looks again each 10 s; and every wait is that much shorter here.
    const clock = { ...systemClock, after: (ms: number, run: () => void) => systemClock.after(ms / 20, run) }
    const source = await openSource(readControlConfig(environment), { ...parts, clock, metrics })
    const stop = source.validate()
    try {
      const notAfter = new Date(Date.now() + 3600 * 1000)
      const { certificate, key } = makeSelfSigned({ names: ['localhost'], notBefore: new Date(0), notAfter })
      const ask = () => statusOf(port, certificate)
      await expect(ask()).rejects.toThrow('ECONNREFUSED')
      writeFileSync(files.WEFT_CERTIFICATE_FILE, certificate)
      writeFileSync(files.WEFT_KEY_FILE, key)

      await expect.poll(() => ask().catch(() => 0), { timeout: 30_000 }).toBe(405)

      await Promise.all([stop(), stop()])
      await expect(ask()).rejects.toThrow('ECONNREFUSED')
    } finally {
      await stop()
      await source.close()
      rmSync(directory, { recursive: true })
    }
  })
})

/** Of GET /validate, which wants POST. */
function statusOf(port: number, ca: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = get({ host: 'localhost', port, path: '/validate', ca, agent: false })
    request.on('error', reject)
    request.on('response', (response) => {
      response.resume()
      resolve(response.statusCode ?? 0)
    })
  })
}
