// The server that the API server asks for each new pod: POST /mutate.
import type { CertificateSource } from '#shared/webhook/certificate.ts'
import { type ReviewServer, startReviewServer } from '#shared/webhook/server.ts'
import { type AdmitOptions, admit } from './admit.ts'
import type { InjectorMetrics } from './metrics.ts'

export interface WebhookOptions extends AdmitOptions {
  readonly certificate: CertificateSource['certificate']
  readonly metrics: InjectorMetrics
  readonly port: number
  readonly maxConcurrent: number
  readonly requestTimeoutMs: number
  readonly now: () => number
}

/** No pod comes near it. */
const MOST_BYTES = 1024 * 1024

/** Resolves when the port is open. */
export function startWebhook(options: WebhookOptions): Promise<ReviewServer> {
  return startReviewServer({
    ...options,
    path: '/mutate',
    mostBytes: MOST_BYTES,
    judge: (request) => admit(request, options),
    observe: options.metrics.observe,
  })
}
