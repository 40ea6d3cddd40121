// weft down: asks the supervisor to take its mesh down, then removes whatever is left, also of a mesh that was killed.
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../context.ts'
import { Failure } from '../failure.ts'
import { findMeshName, meshesThatAreUp } from '../find-mesh.ts'
import { meshPaths } from '../up/paths.ts'
import { checkMachine } from '../up/requirements.ts'
import { isRunning, type MeshState, readState, withLock } from '../up/state.ts'
import { sweep } from '../up/teardown.ts'

/** An application may take its grace (30 s unless it says otherwise) to end. */
const WAIT_MS = 120_000

export async function down(context: Context, named: string | undefined): Promise<void> {
  const { runDirectory, terminal, environment } = context
  checkMachine('down', environment['PATH'] ?? '')
  const name = findMeshName(named, runDirectory)
  const state = readState(name, runDirectory)
  if (isRunning(state)) await askSupervisor(state, runDirectory)
  const left = await withLock(runDirectory, () => sweep(name, runDirectory))
  if (left.processes > 0 || left.namespaces > 0) {
    terminal.out(`mesh ${name}: removed what was left: ${left.processes} processes, ${left.namespaces} namespaces`)
  } else if (state === undefined) throw new Failure(`mesh ${name} is not up`, meshesThatAreUp(runDirectory))
  else terminal.out(`mesh ${name} is down`)
}

async function askSupervisor(state: MeshState, runDirectory: string): Promise<void> {
  const { pid, isCommand } = state.supervisor
  if (!isCommand)
    throw new Failure(`mesh ${state.name} belongs to process ${pid}, which is not weft`, `End it: kill ${pid}`)
  process.kill(pid, 'SIGTERM')
  const { root } = meshPaths(state.name, runDirectory)
  for (let waitedMs = 0; waitedMs < WAIT_MS; waitedMs += 50) {
    if (!isRunning(state) || !existsSync(root)) return
    await sleep(50)
  }
  throw new Failure(
    `mesh ${state.name} does not come down in ${WAIT_MS / 1000} s`,
    `Force it: kill -9 ${pid}; weft down ${state.name}`,
  )
}
