// Which addresses this machine uses already: its routes of both families, and the ranges of the other meshes.
import { overlaps, parseRange, type Taken } from './ranges.ts'
import { isRunning, knownMeshes, readState } from './state.ts'
import { run } from './system.ts'

interface Route {
  readonly dst: string
  readonly dev?: string
}

export async function takenRanges(mesh: string, runDirectory: string): Promise<Taken[]> {
  const meshes = knownMeshes(runDirectory).filter((name) => name !== mesh)
  const ofMeshes = meshes.flatMap((name) => {
    const state = readState(name, runDirectory)
    // A mesh whose supervisor was killed has its links still.
    const by = isRunning(state) ? `mesh ${name}` : `mesh ${name}, which was killed (weft down ${name} removes it)`
    return (state?.ranges ?? []).map((text) => ({ range: parseRange(text), by }))
  })
  const routes = [...(await readRoutes([])), ...(await readRoutes(['-6']))]
  return [...ofMeshes, ...routes.filter((route) => !ofMeshes.some((known) => overlaps(known.range, route.range)))]
}

async function readRoutes(family: readonly string[]): Promise<Taken[]> {
  const routes = JSON.parse((await run(['ip', '-j', ...family, 'route', 'show', 'table', 'main'])) || '[]') as Route[]
  return routes
    .filter(({ dst }) => dst !== 'default')
    .map(({ dst, dev }) => ({
      range: parseRange(dst.includes('/') ? dst : `${dst}/${dst.includes(':') ? 128 : 32}`),
      by: `a route of this machine${dev === undefined ? '' : ` (dev ${dev})`}`,
    }))
}
