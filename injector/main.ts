// The injector: reads its settings, serves the webhook, and drains on SIGTERM. Of the API server it wants the Secret with its
// certificate, the labels of a namespace, and to write Events.
import { systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { inCluster } from '#shared/kube/config.ts'
import { createLog, type Log } from '#shared/log.ts'
import { startPages } from '#shared/pages.ts'
import { drainWebhook } from '#shared/webhook/drain.ts'
import { openCertificate } from '#shared/webhook/open-certificate.ts'
import type { Namespaces, Reporter } from './admit.ts'
import { type InjectorConfig, injectionSettings, readInjectorConfig } from './config.ts'
import { createEventReporter } from './events.ts'
import { createInjectorMetrics } from './metrics.ts'
import { createNamespaces } from './namespaces.ts'
import { startWebhook } from './webhook.ts'

/** The admission warning and the log say it too. */
const noEvents: Reporter = { refused() {} }

async function main(): Promise<void> {
  const config = readInjectorConfig(process.env)
  const log = createLog('injector', config.logLevel)
  const client = createClient(config)
  const { namespaces, close: closeNamespaces } = openNamespaces(config, log)
  const source = await openCertificate({
    config,
    client,
    service: config.serviceName,
    mutating: [config.webhookConfiguration],
    clock: systemClock,
    log,
  })
  const metrics = createInjectorMetrics(() => source.certificate.current.expiresAt)
  let isReady = true
  const webhook = await startWebhook({
    ...config,
    settings: injectionSettings(config),
    ownNamespace: config.systemNamespace,
    namespaces,
    reporter: client === undefined ? noEvents : createEventReporter({ client, clock: systemClock, log }),
    certificate: source.certificate,
    port: config.webhookPort,
    metrics,
    now: systemClock.now,
    log,
  })
  const at = [{ host: '::', port: config.metricsPort }]
  const pages = await startPages(at, { metrics: metrics.render, isReady: () => isReady })
  log.info({ webhook: webhook.port, metrics: pages.ports[0] }, 'the injector listens')
  const stop = async () => {
    isReady = false
    log.info('draining')
    const { shutdownDelayMs: delayMs, drainTimeoutMs: limitMs } = config
    await drainWebhook(webhook, { clock: systemClock, delayMs, limitMs })
    source.close()
    client?.close()
    closeNamespaces()
    await pages[Symbol.asyncDispose]()
    log.info('stopped')
  }
  process.once('SIGTERM', () => void stop())
  process.once('SIGINT', () => void stop())
}

/** Undefined outside of a cluster. */
function createClient({ apiHost, apiPort }: InjectorConfig, timeoutMs?: number): KubeClient | undefined {
  if (apiHost === '') return undefined
  const connection = inCluster(apiHost, apiPort)
  const limit = timeoutMs === undefined ? {} : { timeoutMs }
  return createKubeClient({ connection, clock: systemClock, userAgent: 'weft-injector', ...limit })
}

/** A review lasts 4 s at most. */
const NAMESPACE_LIMIT_MS = 1500

function openNamespaces(config: InjectorConfig, log: Log): { namespaces: Namespaces; close(): void } {
  const client = createClient(config, NAMESPACE_LIMIT_MS)
  if (client === undefined) return { namespaces: { labelsOf: () => undefined }, close() {} }
  return { namespaces: createNamespaces({ client, clock: systemClock, log }), close: client.close }
}

main().catch((error: unknown) => {
  process.stderr.write(`injector: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
