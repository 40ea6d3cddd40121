// Keeps this sidecar's identity in force: the source that TLS of both directions reads. Connections that are open keep the
// certificate they began with; only new handshakes see a new one.
import type { IdentitySource } from '#flow/identity.ts'
import { createSvidSource, type SvidSourceOptions } from '#shared/identity/svid-client.ts'

export interface RotatingIdentity {
  readonly identity: IdentitySource
  close(): void
}

export function rotateIdentity(options: SvidSourceOptions): RotatingIdentity {
  return createSvidSource(options)
}
