// What a workload proves itself with: an X.509 SVID (the certificate that carries a SPIFFE ID), its key and the roots to trust.
import type { KeyObject } from 'node:crypto'
import type { SpiffeId } from './spiffe-id.ts'

export interface SvidIdentity {
  readonly id: SpiffeId
  /** PEM: the leaf, then its intermediates. */
  readonly chain: string
  readonly key: KeyObject
  /** PEM: the trust bundle, one or more roots. */
  readonly roots: string
  readonly expiresAt: Date
}
