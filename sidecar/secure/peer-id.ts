// Who is at the other end of a TLS connection, from the DER of its certificate. The accepting side asks on resumed sessions too:
// OpenSSL does not look at dates or names again there.
import type { TLSSocket } from 'node:tls'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { notAfterOf, spiffeIdOf } from '#shared/identity/x509.ts'

export interface Peer {
  readonly id: SpiffeId
  readonly expiresAt: Date
}

/** Only after OpenSSL has found the chain good. Throws an Error that says what is wrong. */
export function peerOf(stream: TLSSocket, wallMs: number): Peer {
  const certificate = stream.getPeerX509Certificate()?.raw
  if (certificate === undefined) throw new Error('the peer has shown no certificate')
  const expiresAt = notAfterOf(certificate)
  if (wallMs >= expiresAt.getTime()) throw new Error(`the certificate of the peer ended at ${expiresAt.toISOString()}`)
  return { id: spiffeIdOf(certificate), expiresAt }
}
