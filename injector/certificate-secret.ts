// The webhook's certificate where nobody gives one: the replicas share it in a Secret and renew it there. The API server is told
// of the next one (caBundle) a while before it is shown, and keeps the last one, so that a renewal refuses no pod.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isConflict, isNotFound } from '#shared/kube/error.ts'
import type { KubeKind, KubeObject } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { createAnnouncer } from './announce.ts'
import type { CertificateSource, ServingCertificate } from './certificate.ts'
import { makeSelfSigned } from './self-signed.ts'

export interface SecretCertificateOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>
  readonly namespace: string
  /** Of the Secret. */
  readonly name: string
  /** As the API server calls the webhook: "weft-injector.weft-system.svc" first. */
  readonly names: readonly string[]
  /** What the API server is told: names of MutatingWebhookConfigurations and ValidatingWebhookConfigurations. */
  readonly mutating: readonly string[]
  readonly validating?: readonly string[]
  readonly clock: Clock
  readonly log: Log
}

const SECRETS: KubeKind = { group: '', version: 'v1', plural: 'secrets', kind: 'Secret', isNamespaced: true }
const MANAGED_BY = { 'app.kubernetes.io/managed-by': 'weft' }
const ANNOUNCED_AT = 'weft.dev/next-announced-at'
const LIFETIME_MS = 90 * 24 * 3600 * 1000
const BACKDATE_MS = 5 * 60 * 1000
/** API servers watch their webhook configurations: this is long after the slowest has heard of a change. */
const ANNOUNCE_MS = 2 * 60 * 1000
const LOOK_MS = 10_000

interface Pair {
  readonly certificate: string
  readonly key: string
  readonly startsAt: Date
  readonly expiresAt: Date
}

/** As the Secret holds it: shown now; to be shown; shown before. */
interface Shelf {
  readonly current: Pair
  readonly next: Pair | undefined
  /** PEM. */
  readonly previous: string | undefined
  /** Since when the API server has been told of `next`, milliseconds since 1970. */
  readonly announcedAt: number
}

/** Rejects with an Error for people when the Secret can be neither read nor made; later on the last good one stays in force. */
export async function createSecretCertificate(options: SecretCertificateOptions): Promise<CertificateSource> {
  const { clock, log } = options
  const announce = createAnnouncer(options)
  let complaint = ''
  let isClosed = false
  let cancel = () => {}
  const certificate = new Watched<ServingCertificate>((await keepShelf(options)).current)

  async function look(): Promise<void> {
    try {
      const shelf = await keepShelf(options)
      if (isClosed) return
      if (shelf.current.certificate !== certificate.current.certificate) {
        certificate.set(shelf.current)
        log.info({ expiresAt: shelf.current.expiresAt }, 'the certificate of the webhook was replaced')
      }
      await announce(trustedOf(shelf, clock.wall()))
      complaint = ''
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== complaint) log.error({ reason }, 'the certificate of the webhook stays as it was; trying again')
      complaint = reason
    }
    if (!isClosed) cancel = clock.after(LOOK_MS, () => void look())
  }

  await look()
  return {
    certificate,
    close() {
      isClosed = true
      cancel()
    },
  }
}

/** Of replicas that write at once one wins, and the others go by what it wrote. */
async function keepShelf(options: SecretCertificateOptions): Promise<Shelf> {
  const { client, namespace, name } = options
  for (let attempt = 1; ; attempt++) {
    try {
      const found = await client.get(SECRETS, { namespace, name }).catch((error: unknown) => {
        if (isNotFound(error)) return undefined
        throw error
      })
      const shelf = found === undefined ? undefined : readShelf(found, options)
      const wanted = advance(shelf, options)
      if (wanted === shelf) return wanted
      if (found === undefined) await client.create(SECRETS, toSecret(wanted, options))
      else await client.replace(SECRETS, toSecret(wanted, options, found.metadata.resourceVersion))
      return wanted
    } catch (error) {
      if (!isConflict(error) || attempt === 5) throw error
    }
  }
}

/** What should be kept instead; the same object: nothing is to be done. */
function advance(shelf: Shelf | undefined, { clock, log, names }: SecretCertificateOptions): Shelf {
  const now = clock.wall()
  if (shelf === undefined || now >= shelf.current.expiresAt.getTime() || !isFor(shelf.current, names)) {
    log.info({ names }, 'a certificate of the webhook is made')
    return { current: makePair(names, now), next: undefined, previous: shelf?.current.certificate, announcedAt: 0 }
  }
  const { startsAt, expiresAt } = shelf.current
  const renewAt = startsAt.getTime() + (expiresAt.getTime() - startsAt.getTime()) * (2 / 3)
  if (now < renewAt) return shelf
  if (shelf.next === undefined) return { ...shelf, next: makePair(names, now), announcedAt: now }
  if (now < shelf.announcedAt + ANNOUNCE_MS) return shelf
  return { current: shelf.next, next: undefined, previous: shelf.current.certificate, announcedAt: 0 }
}

function isFor({ certificate }: Pair, names: readonly string[]): boolean {
  const leaf = new X509Certificate(certificate)
  return names.every((name) => leaf.checkHost(name) !== undefined)
}

function makePair(names: readonly string[], wallMs: number): Pair {
  const [notBefore, notAfter] = [new Date(wallMs - BACKDATE_MS), new Date(wallMs + LIFETIME_MS)]
  return { ...makeSelfSigned({ names, notBefore, notAfter }), startsAt: notBefore, expiresAt: notAfter }
}

function trustedOf({ current, next, previous }: Shelf, wallMs: number): readonly string[] {
  const isGood = (pem: string) => new X509Certificate(pem).validToDate.getTime() > wallMs
  return [current.certificate, next?.certificate, previous].filter((pem) => pem !== undefined).filter(isGood)
}

/** undefined when it holds nothing that can be used: it is ours alone, so it is made anew. */
function readShelf(secret: KubeObject, { log, namespace, name }: SecretCertificateOptions): Shelf | undefined {
  const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>
  const text = (key: string) => {
    const value = data[key]
    return typeof value === 'string' && value !== '' ? Buffer.from(value, 'base64').toString('utf8') : undefined
  }
  try {
    const current = readPair(text('tls.crt'), text('tls.key'))
    if (current === undefined) return undefined
    const previous = text('previous.crt')
    if (previous !== undefined) new X509Certificate(previous)
    const announcedAt = Date.parse(secret.metadata.annotations?.[ANNOUNCED_AT] ?? '')
    const next = Number.isNaN(announcedAt) ? undefined : readPair(text('next.crt'), text('next.key'))
    return { current, next, previous, announcedAt: next === undefined ? 0 : announcedAt }
  } catch (error) {
    log.warn({ secret: `${namespace}/${name}`, reason: String(error) }, 'the Secret cannot be used; it is made anew')
    return undefined
  }
}

function readPair(certificate: string | undefined, key: string | undefined): Pair | undefined {
  if (certificate === undefined || key === undefined) return undefined
  const leaf = new X509Certificate(certificate)
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('certificate and key are no pair')
  return { certificate, key, startsAt: leaf.validFromDate, expiresAt: leaf.validToDate }
}

function toSecret(shelf: Shelf, { namespace, name }: SecretCertificateOptions, resourceVersion?: string): KubeObject {
  const { current, next, previous, announcedAt } = shelf
  const data: Record<string, string> = { 'tls.crt': toBase64(current.certificate), 'tls.key': toBase64(current.key) }
  if (next !== undefined)
    Object.assign(data, { 'next.crt': toBase64(next.certificate), 'next.key': toBase64(next.key) })
  if (previous !== undefined) data['previous.crt'] = toBase64(previous)
  const annotations = next === undefined ? {} : { [ANNOUNCED_AT]: new Date(announcedAt).toISOString() }
  const version = resourceVersion === undefined ? {} : { resourceVersion }
  return { metadata: { namespace, name, labels: MANAGED_BY, annotations, ...version }, type: 'kubernetes.io/tls', data }
}

const toBase64 = (text: string) => Buffer.from(text).toString('base64')
