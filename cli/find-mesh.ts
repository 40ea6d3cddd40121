// Which mesh a command is about: the one that --mesh names, or the only one that there is.
import { Failure } from './failure.ts'
import { isAlive } from './up/process-table.ts'
import { knownMeshes, type MeshState, readState } from './up/state.ts'

/** Throws a Failure that names the meshes to choose from. */
export function findMeshName(named: string | undefined, runDirectory: string): string {
  if (named !== undefined) return named
  const names = knownMeshes(runDirectory)
  const [only] = names
  if (only === undefined) throw new Failure('no mesh is up', 'Bring one up: weft up mesh.yaml')
  if (names.length > 1) throw new Failure(`several meshes are up: ${names.join(', ')}`, 'Say which one: --mesh NAME')
  return only
}

export function meshesThatAreUp(runDirectory: string): string {
  const names = knownMeshes(runDirectory)
  return names.length === 0 ? 'No mesh is up.' : `Up: ${names.join(', ')}.`
}

/** The state of a mesh whose supervisor lives. */
export function findMesh(named: string | undefined, runDirectory: string): MeshState {
  const name = findMeshName(named, runDirectory)
  if (process.getuid?.() !== 0) {
    throw new Failure('weft needs root: what a mesh says of itself is for root alone', 'Run: sudo bin/weft ...')
  }
  const state = readState(name, runDirectory)
  if (state === undefined) {
    throw new Failure(`mesh ${name} is not up`, `${meshesThatAreUp(runDirectory)} Bring one up: weft up mesh.yaml`)
  }
  if (isAlive(state.supervisor)) return state
  throw new Failure(
    `mesh ${name} was killed: its supervisor (process ${state.supervisor.pid}) is gone`,
    `Clear it away: weft down ${name}`,
  )
}
