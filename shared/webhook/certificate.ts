// The certificate that the API server is shown. From files, as cert-manager or a chart's Secret mounts them; looked at again
// every few seconds, since the kubelet swaps them in. Another source is another function that returns a CertificateSource.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Clock } from '#shared/clock.ts'
import type { Log } from '#shared/log.ts'
import { type Watch, Watched } from '#shared/watch.ts'

export interface ServingCertificate {
  /** PEM, the leaf first. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  readonly expiresAt: Date
}

export interface CertificateSource {
  readonly certificate: Watch<ServingCertificate>
  close(): void
}

export interface FileCertificateOptions {
  readonly certificateFile: string
  readonly keyFile: string
  readonly clock: Clock
  readonly log: Log
}

const LOOK_EACH_MS = 5000

/** Throws an Error for people when there is none to begin with; later, a broken one leaves the last good one in force. */
export function createFileCertificate(options: FileCertificateOptions): CertificateSource {
  const { clock, log } = options
  const certificate = new Watched(read(options))
  let cancel = clock.after(LOOK_EACH_MS, look)
  let lastFault = ''
  function look(): void {
    cancel = clock.after(LOOK_EACH_MS, look)
    try {
      const next = read(options)
      lastFault = ''
      if (next.certificate === certificate.current.certificate && next.key === certificate.current.key) return
      certificate.set(next)
      log.info({ expiresAt: next.expiresAt }, 'the certificate of the webhook was replaced')
    } catch (cause) {
      const fault = cause instanceof Error ? cause.message : String(cause)
      if (fault !== lastFault) log.error({ reason: fault }, 'the certificate of the webhook stays as it was')
      lastFault = fault
    }
  }
  return { certificate, close: () => cancel() }
}

function read({ certificateFile, keyFile }: FileCertificateOptions): ServingCertificate {
  const certificate = readText(certificateFile)
  const key = readText(keyFile)
  const leaf = usable(certificateFile, () => new X509Certificate(certificate))
  const isPair = leaf.checkPrivateKey(usable(keyFile, () => createPrivateKey(key)))
  // Between the two writes of who replaces them; looked at again soon.
  if (!isPair) throw new Error(`${keyFile} is not the key of ${certificateFile}`)
  return { certificate, key, expiresAt: new Date(leaf.validTo) }
}

function readText(file: string): string {
  return usable(file, () => readFileSync(file, 'utf8'))
}

function usable<T>(file: string, act: () => T): T {
  try {
    return act()
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause)
    throw new Error(`${file} cannot be used: ${why}; want PEM as a Secret of type kubernetes.io/tls holds it`, {
      cause,
    })
  }
}
