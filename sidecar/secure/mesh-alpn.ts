// The protocols that sidecars agree on inside TLS. ALPN states framing, never policy.

/**
 * weft/h2: HTTP of either version on a connection that many requests share, each with its original version told. weft/http1: one
 * request at a time, for upgrades, and for sidecars that know no other. weft/tcp: bytes.
 */
export type MeshAlpn = 'weft/h2' | 'weft/http1' | 'weft/tcp'

/** In the order in which the accepting side prefers them. */
export const MESH_ALPNS: readonly MeshAlpn[] = ['weft/h2', 'weft/http1', 'weft/tcp']

/** Throws an Error unless a protocol of the mesh was agreed. */
export function meshAlpn(agreed: string | false | null): MeshAlpn {
  const found = MESH_ALPNS.find((alpn) => alpn === agreed)
  if (found === undefined) throw new Error('no protocol of the mesh was agreed (ALPN)')
  return found
}
