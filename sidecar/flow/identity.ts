// Who this sidecar is: its key never leaves the process (or the pod's memory-backed volume).
import type { KeyObject } from 'node:crypto'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Watch } from '#shared/watch.ts'

export interface Identity {
  readonly id: SpiffeId
  /** PEM: the leaf, then its intermediates. */
  readonly chain: string
  readonly key: KeyObject
  /** PEM: the trust bundle, one or more roots. */
  readonly roots: string
  readonly expiresAt: Date
}

/** undefined until the first certificate has arrived. */
export type IdentitySource = Watch<Identity | undefined>
