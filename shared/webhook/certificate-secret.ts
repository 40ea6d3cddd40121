// The webhook's certificate where nobody gives one: the replicas share it in a Secret and renew it there. The API server is told
// of the next one (caBundle) a while before it is shown, and keeps the last one, so that a renewal refuses no pod.
import { X509Certificate } from 'node:crypto'
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isConflict, isNotFound } from '#shared/kube/error.ts'
import { createOwners, type Owners } from '#shared/kube/installation.ts'
import { type KubeObject, SECRETS } from '#shared/kube/objects.ts'
import type { Log } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { createAnnouncer } from './announce.ts'
import type { CertificateSource, ServingCertificate } from './certificate.ts'
import { type Pair, readShelf, type Shelf, toSecret } from './certificate-shelf.ts'
import { makeSelfSigned } from './self-signed.ts'

export interface SecretCertificateOptions {
  readonly client: Pick<KubeClient, 'get' | 'create' | 'replace'>
  readonly namespace: string
  /** Of the Secret. */
  readonly name: string
  /** As the API server calls the webhook: "weft-injector.weft-system.svc". */
  readonly names: readonly string[]
  /** What the API server is told: names of MutatingWebhookConfigurations and ValidatingWebhookConfigurations. */
  readonly mutating: readonly string[]
  readonly validating?: readonly string[]
  readonly clock: Clock
  readonly log: Log
}

const LIFETIME_MS = 90 * 24 * 3600 * 1000
const BACKDATE_MS = 5 * 60 * 1000
/** API servers watch their webhook configurations: this is long after the slowest has heard of a change. */
const ANNOUNCE_MS = 2 * 60 * 1000
const LOOK_MS = 10_000
const MOST_CONFLICTS = 5

/** What this replica knows of itself, beside what the Secret says. */
interface Standing {
  readonly owners: Owners
  /** PEM: what it shows. */
  shown: string | undefined
  /** PEM: the newest that the API server has surely been told of. */
  told: string | undefined
}

/** Rejects with an Error for people when the Secret can be neither read nor made; later on the last good one stays in force. */
export async function createSecretCertificate(options: SecretCertificateOptions): Promise<CertificateSource> {
  const { clock, log } = options
  const announce = createAnnouncer(options)
  const standing: Standing = { owners: createOwners(options.client), shown: undefined, told: undefined }
  let complaint = ''
  let isClosed = false
  let cancel = () => {}
  const certificate = new Watched<ServingCertificate>((await keepShelf(options, standing)).current)
  standing.shown = certificate.current.certificate

  async function look(): Promise<void> {
    try {
      const shelf = await keepShelf(options, standing)
      if (isClosed) return
      show(shelf.current)
      await announce(trustedOf(shelf, clock.wall()))
      standing.told = (shelf.next ?? shelf.current).certificate
      complaint = ''
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error)
      if (reason !== complaint) log.error({ reason }, 'the certificate of the webhook stays as it was; trying again')
      complaint = reason
    }
    if (!isClosed) cancel = clock.after(LOOK_MS, () => void look())
  }
  function show(next: Pair): void {
    if (next.certificate === standing.shown) return
    standing.shown = next.certificate
    certificate.set(next)
    log.info({ expiresAt: next.expiresAt }, 'the certificate of the webhook was replaced')
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
async function keepShelf(options: SecretCertificateOptions, standing: Standing): Promise<Shelf> {
  for (let conflicts = 0; ; ) {
    try {
      return await keepOnce(options, standing)
    } catch (error) {
      if (!isConflict(error) || ++conflicts === MOST_CONFLICTS) throw error
    }
  }
}

async function keepOnce(options: SecretCertificateOptions, standing: Standing): Promise<Shelf> {
  const { client } = options
  const found = await find(options)
  const shelf = found === undefined ? undefined : readOrDrop(found, options)
  const wanted = advance(shelf, options, standing)
  // What was made when there were no owners gets one at the next start.
  const isAdopted = standing.shown !== undefined || (found?.metadata.ownerReferences ?? []).length > 0
  if (wanted === shelf && isAdopted) return wanted
  const ownerReferences = await standing.owners()
  if (wanted === shelf && ownerReferences.length === 0) return wanted
  const parts = { ownerReferences, resourceVersion: found?.metadata.resourceVersion }
  if (found === undefined) await client.create(SECRETS, toSecret(wanted, options, parts))
  else await client.replace(SECRETS, toSecret(wanted, options, parts))
  return wanted
}

async function find({ client, namespace, name }: SecretCertificateOptions): Promise<KubeObject | undefined> {
  try {
    return await client.get(SECRETS, { namespace, name })
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** What cannot be used is made anew: the Secret is ours alone. */
function readOrDrop(secret: KubeObject, { log, namespace, name }: SecretCertificateOptions): Shelf | undefined {
  try {
    return readShelf(secret)
  } catch (error) {
    log.warn({ secret: `${namespace}/${name}`, reason: String(error) }, 'the Secret cannot be used; it is made anew')
    return undefined
  }
}

/** What should be kept instead; the same object: nothing is to be done. */
function advance(shelf: Shelf | undefined, { clock, log, names }: SecretCertificateOptions, standing: Standing): Shelf {
  const now = clock.wall()
  if (shelf === undefined || now >= shelf.current.expiresAt.getTime() || !isFor(shelf.current, names)) {
    log.info({ names }, 'a certificate of the webhook is made')
    const previous = shelf?.current.certificate ?? standing.shown
    return { current: makePair(names, now), next: undefined, previous, announcedAt: 0 }
  }
  const { current, next, announcedAt } = shelf
  const renewAt = current.startsAt.getTime() + (current.expiresAt.getTime() - current.startsAt.getTime()) * (2 / 3)
  if (now < renewAt) return shelf
  if (next === undefined) return { ...shelf, next: makePair(names, now), announcedAt: now }
  // Never before the API server trusts it, however long it may not be told.
  if (now < announcedAt + ANNOUNCE_MS || standing.told !== next.certificate) return shelf
  return { current: next, next: undefined, previous: current.certificate, announcedAt: 0 }
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
