// Tells a mesh peer's ClientHello from everything else that may reach a port.
import { readClientHello } from './client-hello.ts'
import { judgeFirstBytes } from './http-preface.ts'
import type { Spoken } from './protocol.ts'

export type MeshHello = 'mesh'

/** The mesh's own protocol names; an application's TLS never offers them. */
const MESH_PREFIX = 'weft/'

export function judgeInbound(head: Buffer): Exclude<Spoken, 'silent'> | MeshHello | undefined {
  const first = judgeFirstBytes(head)
  if (first === 'more') return undefined
  if (first !== 'tls') return first
  const hello = readClientHello(head)
  if (hello === 'more') return undefined
  return hello?.alpn.some((name) => name.startsWith(MESH_PREFIX)) === true ? 'mesh' : 'tls'
}
