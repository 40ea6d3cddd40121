// Takes a name and addresses for a mesh, so that nobody else has them: under the lock, from the look at what is there to the
// link that shows the addresses to everyone.
import { chmodSync, mkdirSync } from 'node:fs'
import type { Loaded } from '#shared/resources/load.ts'
import { Failure } from '../failure.ts'
import { createNetwork, networkOf } from './namespaces.ts'
import { type MeshPaths, meshPaths } from './paths.ts'
import { type MeshPlan, meshOf, planMesh } from './plan.ts'
import { identifyProcess } from './process-table.ts'
import { chooseRanges } from './ranges.ts'
import { isRunning, knownMeshes, type MeshState, readState, withLock, writeState } from './state.ts'
import { takenRanges } from './taken.ts'
import { sweep } from './teardown.ts'

export interface ClaimOptions {
  readonly file: string
  readonly runDirectory: string
  readonly stateDirectory: string
  /** True for `weft up`: `weft down` may end this process. */
  readonly isCommand: boolean
  readonly report: (line: string) => void
  /** Looks at the plan before anything is made; throws to refuse it. */
  readonly check: (plan: MeshPlan) => void
}

export interface Claim {
  readonly plan: MeshPlan
  readonly paths: MeshPaths
  readonly state: MeshState
}

/** Removes what a killed run of this mesh left. Rejects with a Failure when the mesh is up or its ranges are not free. */
export async function claimMesh(documents: readonly Loaded[], options: ClaimOptions): Promise<Claim> {
  const { runDirectory } = options
  const { name, spec } = meshOf(documents)
  return withLock(runDirectory, async () => {
    await removeLeftovers(name, options)
    const wanted = { podCIDRs: spec.podCIDRs ?? [], serviceCIDRs: spec.serviceCIDRs ?? [] }
    const plan = planMesh(documents, chooseRanges(wanted, await takenRanges(name, runDirectory)))
    options.check(plan)
    const paths = makeDirectories(name, options)
    const state = initialState(plan, options)
    writeState(state, runDirectory)
    try {
      await createNetwork(networkOf(name), plan.gateways)
    } catch (error) {
      await sweep(name, runDirectory)
      throw error
    }
    return { plan, paths, state }
  })
}

async function removeLeftovers(name: string, { runDirectory, report }: ClaimOptions): Promise<void> {
  const state = readState(name, runDirectory)
  if (isRunning(state)) {
    throw new Failure(
      `mesh ${name} is up already (process ${state.supervisor.pid}, from ${state.file})`,
      `Take it down first: weft down ${name}. Or give this one another name: Mesh, metadata.name.`,
    )
  }
  const isKnown = knownMeshes(runDirectory).includes(name)
  const { processes, namespaces } = await sweep(name, runDirectory)
  if (isKnown || processes > 0 || namespaces > 0) {
    report(`removed what a killed run left: ${processes} processes, ${namespaces} namespaces`)
  }
}

function makeDirectories(name: string, { runDirectory, stateDirectory }: ClaimOptions): MeshPaths {
  const paths = meshPaths(name, runDirectory, stateDirectory)
  for (const directory of [paths.root, paths.logs, paths.pods]) {
    mkdirSync(directory, { recursive: true })
    // Sidecars pass through as their own user.
    chmodSync(directory, 0o755)
  }
  mkdirSync(paths.control, { mode: 0o700 })
  return paths
}

function initialState(plan: MeshPlan, { file, isCommand }: ClaimOptions): MeshState {
  const self = identifyProcess(process.pid)
  if (self === undefined) throw new Error('this process is not in /proc')
  return {
    name: plan.name,
    supervisor: { ...self, isCommand },
    ranges: [...plan.ranges.pods, ...plan.ranges.services].map((range) => range.text),
    gateways: plan.gateways.map(({ address }) => address),
    file,
    phase: 'starting',
    system: [],
    pods: [],
    services: plan.services,
  }
}
