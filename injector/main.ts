// The injector: reads its settings, serves the webhook, and drains on SIGTERM. Of the API server it wants only the Secret with
// its certificate, and to write Events: which pods come here is decided by the selectors of the webhook's configuration.
import { systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { inCluster } from '#shared/kube/config.ts'
import { createLog, type Log } from '#shared/log.ts'
import type { Reporter } from './admit.ts'
import { type CertificateSource, createFileCertificate } from './certificate.ts'
import { createSecretCertificate } from './certificate-secret.ts'
import { type InjectorConfig, injectionSettings, readInjectorConfig } from './config.ts'
import { createEventReporter } from './events.ts'
import { createInjectorMetrics } from './metrics.ts'
import { startPages } from './pages.ts'
import { startWebhook } from './webhook.ts'

/** The admission warning and the log say it too. */
const noEvents: Reporter = { refused() {} }

async function main(): Promise<void> {
  const config = readInjectorConfig(process.env)
  const log = createLog('injector', config.logLevel)
  const client = createClient(config)
  const source = await openCertificate(config, client, log)
  const metrics = createInjectorMetrics(() => source.certificate.current.expiresAt)
  let isReady = true
  const webhook = await startWebhook({
    ...config,
    settings: injectionSettings(config),
    ownNamespace: config.systemNamespace,
    namespaces: { labelsOf: () => undefined },
    reporter: client === undefined ? noEvents : createEventReporter({ client, clock: systemClock, log }),
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
    client?.close()
    await pages[Symbol.asyncDispose]()
    log.info('stopped')
  }
  process.once('SIGTERM', () => void stop())
  process.once('SIGINT', () => void stop())
}

/** Undefined outside of a cluster. */
function createClient({ apiHost, apiPort }: InjectorConfig): KubeClient | undefined {
  if (apiHost === '') return undefined
  return createKubeClient({ connection: inCluster(apiHost, apiPort), clock: systemClock, userAgent: 'weft-injector' })
}

/** Shared by the replicas in a Secret, or files that somebody else keeps (cert-manager). */
async function openCertificate(
  config: InjectorConfig,
  client: KubeClient | undefined,
  log: Log,
): Promise<CertificateSource> {
  const { certificateSecret: name, webhookConfiguration, serviceName, systemNamespace: namespace } = config
  if (name === '') return createFileCertificate({ ...config, clock: systemClock, log })
  if (client === undefined)
    throw new Error('WEFT_CERTIFICATE_SECRET: KUBERNETES_SERVICE_HOST does not say where the API server is')
  const names = [`${serviceName}.${namespace}.svc`]
  return createSecretCertificate({
    client,
    namespace,
    name,
    names,
    mutating: [webhookConfiguration],
    clock: systemClock,
    log,
  })
}

main().catch((error: unknown) => {
  process.stderr.write(`injector: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
