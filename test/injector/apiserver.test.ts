// The webhook behind a real API server, which applies its patch, fills in defaults, calls it again and refuses what is wrong.
import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseAllDocuments } from 'yaml'
import { systemClock } from '#shared/clock.ts'
import { EVENTS, type KubeKind, type KubeObject, MUTATING_WEBHOOKS, NAMESPACES, PODS } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { type Pod, readPod } from '#shared/pod/kubernetes-pod.ts'
import { podPatch } from '#shared/pod/patch.ts'
import { settings } from '#shared/pod/pod.fixture.ts'
import { Watched } from '#shared/watch.ts'
import { makeSelfSigned } from '#shared/webhook/self-signed.ts'
import { createEventReporter } from '../../injector/events.ts'
import { createInjectorMetrics } from '../../injector/metrics.ts'
import { createNamespaces } from '../../injector/namespaces.ts'
import { startWebhook } from '../../injector/webhook.ts'
import { type ApiServer, startApiServer } from '../support/apiserver.ts'

const DEPLOYMENTS: KubeKind = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  isNamespaced: true,
}
const HOUR_MS = 3600 * 1000
const notBefore = new Date(Date.now() - HOUR_MS)
const serving = makeSelfSigned({ names: ['localhost'], notBefore, notAfter: new Date(Date.now() + HOUR_MS) })
const MAIN = fileURLToPath(new URL('../../cli/main.ts', import.meta.url))

/** What `weft install` registers, asked at a port of this process instead of a Service. */
async function putConfiguration(api: ApiServer, port: number, more: readonly object[] = []): Promise<void> {
  const { stdout } = await promisify(execFile)(process.execPath, [MAIN, 'install'], { maxBuffer: 2 ** 24 })
  const found = parseAllDocuments(stdout)
    .map((document) => document.toJS() as KubeObject | null)
    .find((object) => object?.kind === 'MutatingWebhookConfiguration')
  if (found === undefined || found === null) throw new Error('weft install makes no MutatingWebhookConfiguration')
  const clientConfig = clientConfigOf(port)
  const webhooks = (found['webhooks'] as readonly object[]).map((webhook) => ({ ...webhook, clientConfig }))
  expect(webhooks).toHaveLength(2)
  // Configurations are asked in the order of their names.
  await api.client.apply(MUTATING_WEBHOOKS, { metadata: { name: 'a-weft' }, webhooks }, { fieldManager: 'test' })
  if (more.length > 0)
    await api.client.apply(
      MUTATING_WEBHOOKS,
      { metadata: { name: 'z-other' }, webhooks: more },
      { fieldManager: 'test' },
    )
}

const clientConfigOf = (port: number) => ({
  url: `https://localhost:${port}/mutate`,
  caBundle: Buffer.from(serving.certificate).toString('base64'),
})

/** Another team's webhook: adds a container with a probe to pods labelled so. */
async function startOther() {
  const container = { name: 'agent', image: 'agent:1', readinessProbe: { grpc: { port: 9000 } } }
  const server = createServer({ cert: serving.certificate, key: serving.key }, (request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const review = JSON.parse(Buffer.concat(chunks).toString()) as { request: { uid: string; object: Pod } }
      const isThere = review.request.object.spec.containers.some(({ name }) => name === container.name)
      const patch = Buffer.from(
        JSON.stringify(isThere ? [] : [{ op: 'add', path: '/spec/containers/-', value: container }]),
      )
      const answer = { uid: review.request.uid, allowed: true, patchType: 'JSONPatch', patch: patch.toString('base64') }
      response.setHeader('content-type', 'application/json')
      response.end(JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: answer }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port } = server.address() as AddressInfo
  const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }
  const webhook = {
    name: 'other.example.com',
    objectSelector: { matchLabels: { other: 'yes' } },
    rules: [rule],
    clientConfig: clientConfigOf(port),
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
  }
  return {
    webhook,
    close() {
      server.close()
      server.closeAllConnections()
    },
  }
}

const application = (more: object = {}) => ({
  name: 'app',
  image: 'shop:1',
  ports: [{ name: 'http', containerPort: 8080 }],
  readinessProbe: { httpGet: { path: '/ready', port: 'http' } },
  livenessProbe: { tcpSocket: { port: 8080 } },
  lifecycle: { postStart: { httpGet: { path: '/started', port: 'http' } } },
  ...more,
})

// The admission that would set it is off in this API server.
const account = { serviceAccountName: 'default' }

describe('behind a real API server', () => {
  let api: ApiServer
  let webhook: Awaited<ReturnType<typeof startWebhook>>
  let other: Awaited<ReturnType<typeof startOther>>
  beforeAll(async () => {
    api = await startApiServer()
    webhook = await startInjector()
    other = await startOther()
    await putConfiguration(api, webhook.port, [other.webhook])
    const labels = { 'weft.dev/inject': 'enabled' }
    await api.client.create(NAMESPACES, { metadata: { name: 'shop', labels } })
    for (const name of ['plain', 'weft-system']) await api.client.create(NAMESPACES, { metadata: { name } })
    await untilAsked()
  }, 120_000)
  afterAll(async () => {
    await webhook?.close(0)
    other?.close()
    await api?.[Symbol.asyncDispose]()
  }, 120_000)

  const startInjector = (port = 0) =>
    startWebhook({
      settings,
      ownNamespace: 'weft-system',
      namespaces: createNamespaces({ client: api.client, clock: systemClock, log: silentLog }),
      reporter: createEventReporter({ client: api.client, clock: systemClock, log: silentLog }),
      log: silentLog,
      certificate: new Watched({ ...serving, expiresAt: new Date(Date.now() + HOUR_MS) }),
      metrics,
      port,
      maxConcurrent: 8,
      requestTimeoutMs: 4000,
      now: systemClock.now,
    })

  const metrics = createInjectorMetrics(() => new Date())
  const skipped = () => /outcome="skipped"} (\d+)/.exec(metrics.render())?.[1] ?? ''
  /** Until a pod that no right webhook asks about is asked about. */
  async function untilAskedFor(namespace: string): Promise<void> {
    for (const before = skipped(); skipped() === before; ) await create(namespace)
  }

  let count = 0
  function create(namespace: string, more: { labels?: object; annotations?: object; spec?: object } = {}) {
    const { labels = {}, annotations = {}, spec = {} } = more
    const metadata = { namespace, name: `p${count++}`, labels, annotations } as KubeObject['metadata']
    return api.client.create(PODS, { metadata, spec: { ...account, containers: [application()], ...spec } })
  }
  const initsOf = (pod: KubeObject) => readPod(pod).spec.initContainers?.map(({ name }) => name) ?? []

  /** The API server hears of a new webhook by its own watch. */
  async function untilAsked(): Promise<void> {
    for (;;) if (initsOf(await create('shop')).includes('weft-proxy')) return
  }

  test('a pod of a labelled namespace is stored with its sidecar, and what is stored needs no further change', async () => {
    const annotations = {
      'prometheus.io/scrape': 'true',
      'prometheus.io/port': '9090',
      'config.weft.dev/proxy-cpu-limit': '1',
      'config.weft.dev/skip-subnets': '10.0.0.0/8',
    }
    const early = { name: 'early', image: 'shop:1', restartPolicy: 'Always', startupProbe: { grpc: { port: 9000 } } }
    const stored = await create('shop', { annotations, spec: { initContainers: [early], shareProcessNamespace: true } })

    expect(initsOf(stored)).toEqual(['weft-init', 'weft-proxy', 'early'])
    expect(podPatch(readPod(stored), { settings }).patch).toEqual([])
  })

  test('labels decide: the pod against its namespace, both ways', async () => {
    const label = (word: string) => ({ labels: { 'weft.dev/inject': word } })

    expect(initsOf(await create('plain'))).toEqual([])
    expect(initsOf(await create('plain', label('enabled')))).toEqual(['weft-init', 'weft-proxy'])
    expect(initsOf(await create('shop', label('disabled')))).toEqual([])
  })

  test('a webhook that is registered for everything gets no sidecar into a namespace that wants none', async () => {
    const rule = { apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'] }
    const wrong = {
      name: 'wrong.weft.dev',
      clientConfig: clientConfigOf(webhook.port),
      rules: [rule],
      sideEffects: 'None',
    }
    const webhooks = [{ ...wrong, admissionReviewVersions: ['v1'] }]
    await api.client.apply(MUTATING_WEBHOOKS, { metadata: { name: 'b-wrong' }, webhooks }, { fieldManager: 'test' })
    await untilAskedFor('plain')

    const asked = { labels: { 'weft.dev/inject': 'enabled' } }
    for (const namespace of ['plain', 'kube-system', 'weft-system'])
      expect(initsOf(await create(namespace))).toEqual([])
    for (const namespace of ['kube-system', 'weft-system']) expect(initsOf(await create(namespace, asked))).toEqual([])
    expect(initsOf(await create('shop'))).toEqual(['weft-init', 'weft-proxy'])
    await api.client.remove(MUTATING_WEBHOOKS, { name: 'b-wrong' })
  })

  test('the container that another webhook adds afterwards has its probe asked by the sidecar too', async () => {
    const { spec } = readPod(await create('shop', { labels: { other: 'yes' } }))

    expect(spec.containers.map(({ name }) => name)).toEqual(['app', 'agent'])
    expect(spec.containers[1]?.readinessProbe?.httpGet).toMatchObject({ path: '/probe/agent.readiness', port: 15021 })
    const probes = spec.initContainers?.[1]?.env?.find(({ name }) => name === 'WEFT_PROBES')?.value ?? ''
    expect(Object.keys(JSON.parse(probes) as object)).toEqual([
      'app.readiness',
      'app.liveness',
      'app.postStart',
      'agent.readiness',
    ])
  })

  test('limits that a pod asks for are such that the API server takes them', async () => {
    for (const annotations of [
      { 'config.weft.dev/proxy-memory-request': '1Gi' },
      { 'config.weft.dev/proxy-cpu-request': '2', 'config.weft.dev/proxy-cpu-limit': '0.5' },
      { 'config.weft.dev/pre-stop-sleep': '300s' },
    ])
      expect(initsOf(await create('shop', { annotations }))).toContain('weft-proxy')
  })

  const eventsAbout = async (pod: string) => {
    const { items } = await api.client.list(EVENTS, { namespace: 'shop' })
    return items.filter((event) => JSON.stringify(event['involvedObject']).includes(`"${pod}"`))
  }

  test.each([
    ['the network of its node', { hostNetwork: true }, 'hostNetwork'],
    ['the user of the sidecar', { securityContext: { runAsUser: 1337 } }, 'runs as user or group 1337'],
  ])('a pod with %s is stored without a sidecar, and an Event says why', async (_what, more, reason) => {
    const pod = await create('shop', { spec: { ...more, containers: [{ name: 'app', image: 'shop:1' }] } })

    expect(initsOf(pod)).toEqual([])
    expect(JSON.parse(pod.metadata.annotations?.['weft.dev/status'] ?? '')).toMatchObject({ injected: false })
    await expect
      .poll(() => eventsAbout(pod.metadata.name ?? ''), { timeout: 30_000 })
      .toMatchObject([{ reason: 'NoSidecar', message: expect.stringContaining(reason) }])
  })

  test('a dry run is answered like a creation, and nobody is told of it', async () => {
    const pod = (name: string, more: object) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { namespace: 'shop', name },
      spec: { ...account, containers: [application()], ...more },
    })
    const tryIt = (name: string, more: object) =>
      api.client.send('try', 'POST', '/api/v1/namespaces/shop/pods?dryRun=All', pod(name, more)) as Promise<KubeObject>

    expect(initsOf(await tryIt('tried', {}))).toEqual(['weft-init', 'weft-proxy'])
    const bare = { containers: [{ name: 'app', image: 'shop:1' }] }
    expect(initsOf(await tryIt('tried-host', { ...bare, hostNetwork: true }))).toEqual([])

    // What is told later than it would have been is there.
    const real = await create('shop', { spec: { ...bare, hostNetwork: true } })
    await expect.poll(() => eventsAbout(real.metadata.name ?? ''), { timeout: 30_000 }).toHaveLength(1)
    expect(await eventsAbout('tried-host')).toEqual([])
  })

  test('what weft inject -f - prints is taken, and the webhook finds nothing to change in its pods but the configuration', async () => {
    const file = fileURLToPath(new URL('../../examples/inject/catalog.yaml', import.meta.url))
    const child = promisify(execFile)(process.execPath, [MAIN, 'inject', '-f', '-'])
    child.child.stdin?.end(await readFile(file))
    const { stdout } = await child
    const [, deployment] = parseAllDocuments(stdout).map((document) => document.toJS() as KubeObject)
    if (deployment === undefined) throw new Error('no Deployment')
    const taken = await api.client.create(DEPLOYMENTS, {
      ...deployment,
      metadata: { ...deployment.metadata, namespace: 'shop' },
    })
    const { template } = taken['spec'] as { template: Pod }
    const pod = await create('shop', { ...template.metadata, spec: { ...template.spec, ...account } })
    const [, plain] = parseAllDocuments(await readFile(file, 'utf8')).map((document) => document.toJS() as KubeObject)
    const { template: bare } = (plain?.['spec'] ?? {}) as { template: Pod }
    const byWebhook = await create('shop', { ...bare.metadata, spec: { ...bare.spec, ...account } })

    expect(initsOf(pod)).toEqual(['weft-init', 'weft-proxy'])
    expect(podPatch(readPod(pod), { settings }).patch).toEqual([])
    expect(readPod(pod).spec.containers[0]?.livenessProbe?.httpGet).toMatchObject({ path: '/probe/catalog.liveness' })
    // By hand and by webhook it is one pod, once the name of the workload is told in the same way.
    const spec = (object: KubeObject) =>
      JSON.parse(
        JSON.stringify(object['spec']).replaceAll(/("name":"OTEL_SERVICE_NAME","value":)"[^"]*"/g, '$1""'),
      ) as object
    expect(spec(pod)).toEqual(spec(byWebhook))
  })

  test('with the webhook away, labelled namespaces get an error that says so and others are not touched', async () => {
    const { port } = webhook
    await webhook.close(0)

    await expect(create('shop')).rejects.toThrow(/failed calling webhook "namespace\.inject\.weft\.dev"/)
    expect(initsOf(await create('plain'))).toEqual([])
    expect(initsOf(await create('shop', { labels: { 'weft.dev/inject': 'disabled' } }))).toEqual([])
    webhook = await startInjector(port)
    expect(initsOf(await create('shop'))).toContain('weft-proxy')
  })
})
