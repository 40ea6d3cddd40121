// The validating webhook: POST /validate on a port of its own. Control is there for sidecars first: without a certificate, or with
// the port taken, it goes on without and tries again.
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import type { CertificateSource } from '#shared/webhook/certificate.ts'
import { drainWebhook } from '#shared/webhook/drain.ts'
import { type ReviewServer, startReviewServer, type Unjudged } from '#shared/webhook/server.ts'
import { type AdmitOptions, admit, type Outcome } from './admit.ts'

export interface ValidationOptions extends AdmitOptions {
  /** Rejects while there is none. */
  openCertificate(): Promise<CertificateSource>
  readonly webhookPort: number
  readonly onReview?: (outcome: Outcome | Unjudged, durationMs: number) => void
  readonly shutdownDelayMs: number
  readonly drainTimeoutMs: number
  readonly clock: Clock
  readonly log: Log
}

export interface Validation {
  /** Resolves with the port as bound, when it is open. */
  readonly listening: Promise<number>
  /** Goes on answering for the delay of the settings. Called again it waits for the same. */
  close(): Promise<void>
}

/** An update carries the object twice, and etcd takes 1.5 MiB. */
const MOST_BYTES = 3.5 * 1024 * 1024
/** One thread serves sidecars too: a review is some milliseconds. */
const MOST_CONCURRENT = 8
/** Below timeoutSeconds: 5. */
const REQUEST_TIMEOUT_MS = 4000
/** Anybody may send reviews who reaches the port. What is not checked is stored (failurePolicy: Ignore), and conditions tell. */
const ALLOWANCE = { share: 0.25, burstMs: 500 }
const AGAIN_MS = 10_000

export function startValidation(options: ValidationOptions): Validation {
  const { clock, log } = options
  const { promise: listening, resolve } = Promise.withResolvers<number>()
  let opened: Opened | undefined
  let isClosed = false
  let cancel = () => {}
  let complaint = ''

  async function tryToOpen(): Promise<void> {
    try {
      const next = await open(options)
      if (isClosed) return await shut(next)
      opened = next
      resolve(next.server.port)
      log.info({ webhook: next.server.port }, 'routes and policies are checked before they are stored')
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== complaint) log.error({ reason }, 'nothing is checked before it is stored; trying again')
      complaint = reason
      if (!isClosed) cancel = clock.after(AGAIN_MS, () => void tryToOpen())
    }
  }
  async function end(): Promise<void> {
    isClosed = true
    cancel()
    if (opened === undefined) return
    const { shutdownDelayMs: delayMs, drainTimeoutMs: limitMs } = options
    await drainWebhook(opened.server, { clock, delayMs, limitMs })
    opened.source.close()
  }

  void tryToOpen()
  let ended: Promise<void> | undefined
  return {
    listening,
    close() {
      ended ??= end()
      return ended
    },
  }
}

interface Opened {
  readonly source: CertificateSource
  readonly server: ReviewServer
}

async function open(options: ValidationOptions): Promise<Opened> {
  const source = await options.openCertificate()
  try {
    const server = await startReviewServer({
      path: '/validate',
      certificate: source.certificate,
      port: options.webhookPort,
      mostBytes: MOST_BYTES,
      maxConcurrent: MOST_CONCURRENT,
      requestTimeoutMs: REQUEST_TIMEOUT_MS,
      allowance: ALLOWANCE,
      now: options.clock.now,
      log: options.log,
      judge: (request) => admit(request, options),
      observe(outcome, durationMs) {
        options.onReview?.(outcome, durationMs)
        options.log.debug({ outcome, durationMs }, 'a review has ended')
      },
    })
    return { source, server }
  } catch (error) {
    source.close()
    throw error
  }
}

async function shut({ server, source }: Opened): Promise<void> {
  await server.close(0)
  source.close()
}
