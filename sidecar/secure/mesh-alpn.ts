// The protocols that sidecars agree on inside TLS. ALPN states framing, never policy.

export type MeshAlpn = 'weft/http1' | 'weft/tcp'

export const MESH_ALPNS: MeshAlpn[] = ['weft/http1', 'weft/tcp']

/** Throws an Error unless a protocol of the mesh was agreed. */
export function meshAlpn(agreed: string | false | null): MeshAlpn {
  const found = MESH_ALPNS.find((alpn) => alpn === agreed)
  if (found === undefined) throw new Error('no protocol of the mesh was agreed (ALPN)')
  return found
}
