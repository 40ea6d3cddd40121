// weft logs: what the applications of a service, workload or pod have written, or their sidecars; or certs and control.
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { findMesh } from '../find-mesh.ts'
import { findPods } from '../find-pods.ts'
import { follow, readFrom } from '../follow.ts'
import { paint, type Terminal } from '../terminal.ts'
import { meshPaths } from '../up/paths.ts'
import type { MeshState } from '../up/state.ts'

export interface LogsFlags {
  readonly sidecar?: boolean
  readonly follow?: boolean
  readonly mesh?: string
}

const SYSTEM = ['certs', 'control', 'supervisor']

export async function logs({ terminal, runDirectory }: Context, word: string, flags: LogsFlags): Promise<void> {
  const mesh = findMesh(flags.mesh, runDirectory)
  const names = logNames(mesh, word, flags.sidecar === true)
  const { logs: directory } = meshPaths(mesh.name, runDirectory)
  const files = names.map((name) => ({
    path: join(directory, `${name}.log`),
    lead: names.length > 1 ? `[${name}] ` : '',
  }))
  // The file that was cut when it grew too long comes first.
  const offsets = files.map(({ path, lead }) => {
    print(terminal, lead, readFrom(`${path}.1`, 0).lines)
    const { lines, offset } = readFrom(path, 0)
    print(terminal, lead, lines)
    return offset
  })
  if (flags.follow !== true) return
  const stop = new AbortController()
  process.once('SIGINT', () => stop.abort())
  const following = files.map(({ path, lead }, index) =>
    follow(path, offsets[index] ?? 0, (lines) => print(terminal, lead, lines), stop.signal),
  )
  await Promise.all(following)
}

function logNames(mesh: MeshState, word: string, isSidecar: boolean): string[] {
  if (SYSTEM.includes(word)) return [word]
  return findPods(mesh, word).map(({ name }) => (isSidecar ? `${name}.sidecar` : name))
}

function print(terminal: Terminal, lead: string, lines: readonly string[]): void {
  for (const line of lines) terminal.out(`${paint(terminal, 'dim', lead)}${line}`)
}
