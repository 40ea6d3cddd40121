// The certificate of a webhook, from wherever the settings say.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import type { Log } from '#shared/log.ts'
import { milliseconds, port, text } from '#shared/settings.ts'
import { type CertificateSource, createFileCertificate } from './certificate.ts'
import { createSecretCertificate } from './certificate-secret.ts'

/** Rows that the settings of whoever serves a webhook have in common. */
export const CERTIFICATE_SETTINGS = {
  certificateSecret: text(
    'WEFT_CERTIFICATE_SECRET',
    '',
    'The Secret in which the replicas share the certificate of the webhook and renew it; empty: the files below.',
  ),
  certificateFile: text(
    'WEFT_CERTIFICATE_FILE',
    '/run/weft/tls/tls.crt',
    'Certificate of the webhook, PEM; read again when it changes.',
  ),
  keyFile: text('WEFT_KEY_FILE', '/run/weft/tls/tls.key', 'Its private key, PEM.'),
  webhookPort: port('WEFT_WEBHOOK_PORT', '15017', 'Where the API server asks, by TLS.'),
  shutdownDelayMs: milliseconds(
    'WEFT_SHUTDOWN_DELAY',
    '5s',
    'How long reviews are taken after SIGTERM, until nobody sends any more; together with `WEFT_DRAIN_TIMEOUT` below terminationGracePeriodSeconds.',
  ),
}

export interface CertificateParts {
  readonly config: {
    readonly certificateSecret: string
    readonly certificateFile: string
    readonly keyFile: string
    /** Weft's own. */
    readonly systemNamespace: string
  }
  /** Undefined outside of a cluster. */
  readonly client: KubeClient | undefined
  /** The Service by which the API server asks. */
  readonly service: string
  /** Webhook configurations whose caBundle is kept true to the Secret. */
  readonly mutating?: readonly string[]
  readonly validating?: readonly string[]
  readonly clock: Clock
  readonly log: Log
}

/** Rejects with an Error for people when there is none to begin with. */
export async function openCertificate(parts: CertificateParts): Promise<CertificateSource> {
  const { config, client, service, clock, log } = parts
  const { certificateSecret: name, systemNamespace: namespace } = config
  if (name === '') return createFileCertificate({ ...config, clock, log })
  if (client === undefined)
    throw new Error('WEFT_CERTIFICATE_SECRET: KUBERNETES_SERVICE_HOST does not say where the API server is')
  const { mutating = [], validating = [] } = parts
  return createSecretCertificate({
    client,
    namespace,
    name,
    names: [`${service}.${namespace}.svc`],
    mutating,
    validating,
    clock,
    log,
  })
}
