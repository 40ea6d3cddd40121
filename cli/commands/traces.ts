// weft traces: the last traces of the mesh as trees, newest last, so that it stands above the prompt.
import { renderTree } from '#shared/trace-tree.ts'
import type { Context } from '../context.ts'
import { controlApi } from '../control-api.ts'
import { Failure } from '../failure.ts'
import { findMesh } from '../find-mesh.ts'

export interface TracesFlags {
  readonly limit: string
  readonly output?: string
  readonly mesh?: string
}

export async function traces(
  { terminal, runDirectory }: Context,
  id: string | undefined,
  flags: TracesFlags,
): Promise<void> {
  if (!/^[1-9]\d{0,4}$/.test(flags.limit))
    throw new Failure(`--limit ${flags.limit} is no number`, 'Such as: --limit 10')
  const api = controlApi(findMesh(flags.mesh, runDirectory), runDirectory)
  const found = id === undefined ? await api.traces(Number(flags.limit)) : [await api.trace(id)]
  if (flags.output === 'json') return terminal.out(JSON.stringify({ traces: found }, null, 2))
  if (found.length === 0) {
    return terminal.out('no traces yet: a MeshPolicy sets tracing.samplingPercent, and requests make them')
  }
  terminal.out(
    found
      .toReversed()
      .map((trace) => renderTree(trace).join('\n'))
      .join('\n\n'),
  )
}
