// What the webhook costs a pod: 50 creations a second through a real API server, by the histograms that an operator would look at.
import { get } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '#shared/clock.ts'
import type { KubeConnection } from '#shared/kube/config.ts'
import { MUTATING_WEBHOOKS, NAMESPACES, PODS } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { settings, shopPod } from '#shared/pod/pod.fixture.ts'
import { Watched } from '#shared/watch.ts'
import { makeSelfSigned } from '#shared/webhook/self-signed.ts'
import { createInjectorMetrics } from '../../injector/metrics.ts'
import { createNamespaces } from '../../injector/namespaces.ts'
import { startWebhook } from '../../injector/webhook.ts'
import { type ApiServer, startApiServer } from '../support/apiserver.ts'
import { chartObjects } from '../support/chart.ts'

const PER_SECOND = 50
const SECONDS = 8
/** The aim is a third of this. */
const LIMIT_SECONDS = 0.15
const HOUR_MS = 3600 * 1000
const [notBefore, notAfter] = [new Date(Date.now() - HOUR_MS), new Date(Date.now() + HOUR_MS)]
const serving = makeSelfSigned({ names: ['localhost'], notBefore, notAfter })
const { spec } = shopPod()

let api: ApiServer
let webhook: Awaited<ReturnType<typeof startWebhook>>
let metrics = createInjectorMetrics(() => notAfter)
beforeAll(async () => {
  api = await startApiServer()
  webhook = await startWebhook({
    settings,
    ownNamespace: 'weft-system',
    namespaces: createNamespaces({ client: api.client, clock: systemClock, log: silentLog }),
    reporter: { refused() {} },
    log: silentLog,
    certificate: new Watched({ ...serving, expiresAt: notAfter }),
    metrics: { observe: (...observed) => metrics.observe(...observed), render: () => metrics.render() },
    port: 0,
    maxConcurrent: 64,
    requestTimeoutMs: 4000,
    now: systemClock.now,
  })
  const [found] = chartObjects().filter(({ kind }) => kind === 'MutatingWebhookConfiguration')
  const clientConfig = {
    url: `https://localhost:${webhook.port}/mutate`,
    caBundle: Buffer.from(serving.certificate).toString('base64'),
  }
  const webhooks = ((found?.['webhooks'] ?? []) as readonly object[]).map((one) => ({ ...one, clientConfig }))
  await api.client.create(MUTATING_WEBHOOKS, { metadata: { name: 'weft-injector' }, webhooks })
  await api.client.create(NAMESPACES, { metadata: { name: 'shop', labels: { 'weft.dev/inject': 'enabled' } } })
  for (let tries = 0; tries < 300; tries++)
    if (JSON.stringify(await create(`early-${tries}`)).includes('weft-proxy')) return
  throw new Error('the API server does not ask')
}, 120_000)
afterAll(async () => {
  await webhook?.close(0)
  await api?.[Symbol.asyncDispose]()
}, 120_000)

// The admission that would set the account is off in this API server.
const create = (name: string) =>
  api.client.create(PODS, { metadata: { namespace: 'shop', name }, spec: { ...spec, serviceAccountName: 'default' } })

type Histogram = readonly (readonly [bound: number, count: number])[]

/** Of one metric, all labels together that `labels` matches. */
function readHistogram(text: string, name: string, labels = ''): Histogram {
  const counts = new Map<number, number>()
  for (const line of text.split('\n')) {
    if (!line.startsWith(`${name}_bucket{`) || !line.includes(labels)) continue
    const [, bound = '', count = ''] = /le="([^"]+)"[^}]*\} (\d+)$/.exec(line) ?? []
    const at = bound === '+Inf' ? Number.POSITIVE_INFINITY : Number(bound)
    counts.set(at, (counts.get(at) ?? 0) + Number(count))
  }
  return [...counts].toSorted(([a], [b]) => a - b)
}

const since = (before: Histogram, after: Histogram): Histogram =>
  after.map(([bound, count], index) => [bound, count - (before[index]?.[1] ?? 0)])

/** As histogram_quantile of Prometheus: within its bucket a value is taken to lie evenly. */
function quantile(histogram: Histogram, share: number): number {
  const rank = (histogram.at(-1)?.[1] ?? 0) * share
  const at = histogram.findIndex(([, count]) => count >= rank)
  const [bound = Number.NaN, count = 0] = histogram[at] ?? []
  const [under, fewer] = histogram[at - 1] ?? [0, 0]
  return bound === Number.POSITIVE_INFINITY ? bound : under + ((bound - under) * (rank - fewer)) / (count - fewer)
}

const ADMISSION = 'apiserver_admission_webhook_admission_duration_seconds'
async function metricsOf({ server, credentials }: KubeConnection): Promise<string> {
  const { ca = '', token = '' } = await credentials()
  return new Promise((resolve, reject) => {
    const request = get(new URL('/metrics', server), { ca, headers: { authorization: `Bearer ${token}` } })
    request.on('error', reject)
    request.on('response', async (response) => {
      const chunks: Buffer[] = []
      for await (const chunk of response as AsyncIterable<Buffer>) chunks.push(chunk)
      resolve(Buffer.concat(chunks).toString())
    })
  })
}
const atApiServer = async () =>
  readHistogram(await metricsOf(api.connection), ADMISSION, 'name="namespace.inject.weft.dev"')

test('50 pods a second: the webhook answers 99 of 100 within 150 ms', async () => {
  const before = await atApiServer()
  metrics = createInjectorMetrics(() => notAfter)
  const took: number[] = []
  const failures: unknown[] = []
  const running: Promise<void>[] = []
  const startedAt = performance.now()
  for (let count = 0; count < PER_SECOND * SECONDS; count++) {
    // By the schedule, not by the answers: a slow one must not slow the next.
    await sleep(Math.max(0, startedAt + (count * 1000) / PER_SECOND - performance.now()))
    const sentAt = performance.now()
    const created = () => void took.push((performance.now() - sentAt) / 1000)
    running.push(create(`pod-${count}`).then(created, (error: unknown) => void failures.push(error)))
  }
  const rate = running.length / ((performance.now() - startedAt) / 1000)
  await Promise.all(running)
  expect(failures).toEqual([])

  const own = readHistogram(metrics.render(), 'weft_injector_review_duration_seconds')
  const asked = since(before, await atApiServer())
  took.sort((a, b) => a - b)
  const ms = (seconds: number) => `${(seconds * 1000).toFixed(1)} ms`
  const line = (name: string, p50: number, p99: number) => `${name}: p50 ${ms(p50)}, p99 ${ms(p99)}`
  console.log(
    [
      `${running.length} pods at ${rate.toFixed(1)} a second`,
      line('injector', quantile(own, 0.5), quantile(own, 0.99)),
      line('API server, the webhook alone', quantile(asked, 0.5), quantile(asked, 0.99)),
      line('whole creation', took[took.length >> 1] ?? 0, took[Math.floor(took.length * 0.99)] ?? 0),
    ].join('\n'),
  )
  expect(rate).toBeGreaterThan(PER_SECOND * 0.9)
  expect(own.at(-1)?.[1]).toBeGreaterThanOrEqual(PER_SECOND * SECONDS)
  expect(asked.at(-1)?.[1]).toBeGreaterThanOrEqual(PER_SECOND * SECONDS)
  expect(quantile(own, 0.99)).toBeLessThan(LIMIT_SECONDS)
  // The API server's own figure is reported; its worst hundredth is the wait of all its goroutines for a processor that it shares with
  // this test, so that only its middle is held to the limit.
  expect(quantile(asked, 0.5)).toBeLessThan(LIMIT_SECONDS)
})
