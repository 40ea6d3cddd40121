// gRPC channels inside the mesh: TLS 1.3, the server known by its SPIFFE ID rather than by a host name.

import { createSecureContext, type PeerCertificate } from 'node:tls'
import { type ChannelCredentials, type ChannelOptions, credentials } from '@grpc/grpc-js'
import type { SpiffeId } from './spiffe-id.ts'
import type { SvidIdentity } from './svid.ts'
import { MESH_TLS } from './tls-settings.ts'
import { spiffeIdOf } from './x509.ts'

export interface ChannelIdentity {
  /** PEM: the roots that the server's certificate must lead to. */
  readonly roots: string
  /** Who the server must be. */
  readonly server: SpiffeId
  /** Our own SVID; without it only the signing call of certs answers. */
  readonly own?: Pick<SvidIdentity, 'chain' | 'key'>
}

/** Made anew when the identity or the roots change: credentials hold what they were given. */
export function channelCredentials(identity: ChannelIdentity): ChannelCredentials {
  const { own } = identity
  const context = createSecureContext({
    ...MESH_TLS,
    ca: identity.roots,
    ...(own === undefined ? {} : { cert: own.chain, key: own.key.export({ type: 'pkcs8', format: 'pem' }) }),
  })
  return credentials.createFromSecureContext(context, {
    checkServerIdentity: (_host: string, certificate: PeerCertificate) => wrongServer(certificate, identity.server),
  })
}

/** To be passed with the credentials above. */
export const CHANNEL_OPTIONS: ChannelOptions = {
  // Otherwise the name is the address, which Node refuses as a server name.
  'grpc.ssl_target_name_override': 'weft',
  // grpc-js obeys http_proxy of the environment; the mesh's own calls never leave by a proxy.
  'grpc.enable_http_proxy': 0,
}

function wrongServer(certificate: PeerCertificate, expected: SpiffeId): Error | undefined {
  try {
    const found = spiffeIdOf(certificate.raw)
    return found === expected ? undefined : new Error(`the server is ${found}, want ${expected}`)
  } catch (error) {
    return new Error('the certificate of the server is no SVID', { cause: error })
  }
}
