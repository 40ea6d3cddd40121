// Who this sidecar is: its key never leaves the process (or the pod's memory-backed volume).
import type { SvidIdentity } from '#shared/identity/svid.ts'
import type { Watch } from '#shared/watch.ts'

export type Identity = SvidIdentity

/** undefined until the first certificate has arrived. */
export type IdentitySource = Watch<Identity | undefined>
