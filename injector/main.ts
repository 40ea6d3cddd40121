// The injector: reads its settings, serves the webhook, and drains on SIGTERM. It asks nothing of the API server: which
// pods come here is decided by the selectors of the webhook's configuration.
import { systemClock } from '#shared/clock.ts'
import { createLog } from '#shared/log.ts'
import type { Reporter } from './admit.ts'
import { createFileCertificate } from './certificate.ts'
import { injectionSettings, readInjectorConfig } from './config.ts'
import { createInjectorMetrics } from './metrics.ts'
import { startPages } from './pages.ts'
import { startWebhook } from './webhook.ts'

/** The admission warning and the log say it too. */
const noEvents: Reporter = { refused() {} }

async function main(): Promise<void> {
  const config = readInjectorConfig(process.env)
  const log = createLog('injector', config.logLevel)
  const source = createFileCertificate({ ...config, clock: systemClock, log })
  const metrics = createInjectorMetrics(() => source.certificate.current.expiresAt)
  let isReady = true
  const webhook = await startWebhook({
    ...config,
    settings: injectionSettings(config),
    ownNamespace: config.namespace,
    namespaces: { labelsOf: () => undefined },
    reporter: noEvents,
    certificate: source.certificate,
    port: config.webhookPort,
    metrics,
    now: systemClock.now,
    log,
  })
  const pages = await startPages({ port: config.metricsPort, metrics: metrics.render, isReady: () => isReady })
  log.info({ webhook: webhook.port, metrics: pages.port }, 'the injector listens')
  const stop = async () => {
    isReady = false
    log.info('draining')
    await webhook.close(config.drainTimeoutMs)
    source.close()
    await pages[Symbol.asyncDispose]()
    log.info('stopped')
  }
  process.once('SIGTERM', () => void stop())
  process.once('SIGINT', () => void stop())
}

main().catch((error: unknown) => {
  process.stderr.write(`injector: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
