// A SPIFFE ID of this mesh: spiffe://TRUST-DOMAIN/ns/NAMESPACE/sa/SERVICE-ACCOUNT (SPIFFE-ID.md, section 2).

declare const brand: unique symbol
/** The text of a valid SPIFFE ID; two are the same identity exactly if the texts are equal. */
export type SpiffeId = string & { readonly [brand]: 'SpiffeId' }

const SHAPE =
  /^spiffe:\/\/([a-z0-9._-]{1,255})\/ns\/([a-z0-9](?:[-a-z0-9]{0,61}[a-z0-9])?)\/sa\/([a-z0-9](?:[-.a-z0-9]{0,251}[a-z0-9])?)$/

export interface SpiffeIdParts {
  readonly trustDomain: string
  readonly namespace: string
  readonly serviceAccount: string
}

export function formatSpiffeId(parts: SpiffeIdParts): SpiffeId {
  return parseSpiffeId(`spiffe://${parts.trustDomain}/ns/${parts.namespace}/sa/${parts.serviceAccount}`)
}

/** Throws a TypeError that says what was found and what would be right. */
export function parseSpiffeId(text: string): SpiffeId {
  if (!SHAPE.test(text)) {
    throw new TypeError(`"${text}" is not a SPIFFE ID such as spiffe://weft.local/ns/shop/sa/catalog`)
  }
  return text as SpiffeId
}

export function spiffeIdParts(id: SpiffeId): SpiffeIdParts {
  const [, trustDomain = '', namespace = '', serviceAccount = ''] = SHAPE.exec(id) ?? []
  return { trustDomain, namespace, serviceAccount }
}
