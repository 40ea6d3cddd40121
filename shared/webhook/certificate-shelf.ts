// What the Secret of the webhook's certificate holds: the one that is shown, the one that comes next, the one before.
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { MANAGED_BY } from '#shared/identity/kubernetes.ts'
import type { OwnerReference } from '#shared/kube/installation.ts'
import type { KubeObject, ObjectName } from '#shared/kube/objects.ts'

export interface Pair {
  /** PEM. */
  readonly certificate: string
  /** PEM. */
  readonly key: string
  readonly startsAt: Date
  readonly expiresAt: Date
}

export interface Shelf {
  readonly current: Pair
  readonly next: Pair | undefined
  /** PEM. */
  readonly previous: string | undefined
  /** Since when `next` is there, milliseconds since 1970. */
  readonly announcedAt: number
}

const ANNOUNCED_AT = 'weft.dev/next-announced-at'

/** Throws an Error when the Secret holds something else. */
export function readShelf(secret: KubeObject): Shelf {
  const data = (secret['data'] ?? {}) as Readonly<Record<string, unknown>>
  const text = (key: string) => {
    const value = data[key]
    return typeof value === 'string' && value !== '' ? Buffer.from(value, 'base64').toString('utf8') : undefined
  }
  const current = readPair(text('tls.crt'), text('tls.key'))
  if (current === undefined) throw new Error('no tls.crt or no tls.key')
  const previous = text('previous.crt')
  if (previous !== undefined) new X509Certificate(previous)
  const announcedAt = Date.parse(secret.metadata.annotations?.[ANNOUNCED_AT] ?? '')
  const next = Number.isNaN(announcedAt) ? undefined : readPair(text('next.crt'), text('next.key'))
  return { current, next, previous, announcedAt: next === undefined ? 0 : announcedAt }
}

function readPair(certificate: string | undefined, key: string | undefined): Pair | undefined {
  if (certificate === undefined || key === undefined) return undefined
  const leaf = new X509Certificate(certificate)
  if (!leaf.checkPrivateKey(createPrivateKey(key))) throw new Error('certificate and key are no pair')
  return { certificate, key, startsAt: leaf.validFromDate, expiresAt: leaf.validToDate }
}

/** `resourceVersion`: the API server takes it only in place of that one. */
export interface SecretParts {
  readonly ownerReferences: readonly OwnerReference[]
  readonly resourceVersion: string | undefined
}

export function toSecret(shelf: Shelf, { namespace = '', name }: ObjectName, parts: SecretParts): KubeObject {
  const { current, next, previous, announcedAt } = shelf
  const texts = {
    'tls.crt': current.certificate,
    'tls.key': current.key,
    'next.crt': next?.certificate,
    'next.key': next?.key,
    'previous.crt': previous,
  }
  const data: Record<string, string> = {}
  for (const [key, text] of Object.entries(texts)) {
    if (text !== undefined) data[key] = Buffer.from(text).toString('base64')
  }
  const annotations = next === undefined ? {} : { [ANNOUNCED_AT]: new Date(announcedAt).toISOString() }
  const { resourceVersion, ownerReferences } = parts
  const version = resourceVersion === undefined ? {} : { resourceVersion }
  const metadata = { namespace, name, labels: MANAGED_BY, annotations, ownerReferences, ...version }
  return { metadata, type: 'kubernetes.io/tls', data }
}
