// How every TLS connection of the mesh is made: one version, small groups, the cheap cipher first. Node's own choice of group
// (X25519MLKEM768) adds 2.3 KB to a handshake; what each costs is in docs/identity.md.
import type { SecureContextOptions } from 'node:tls'

export const MESH_TLS = {
  minVersion: 'TLSv1.3',
  maxVersion: 'TLSv1.3',
  ciphers: 'TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256',
  ecdhCurve: 'X25519:P-256',
} as const satisfies SecureContextOptions
