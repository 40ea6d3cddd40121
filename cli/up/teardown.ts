// Removes what a mesh left on the machine, whoever made it and however it ended: processes by their mark and by their network
// namespace, then links, namespaces, hosts files and the run directory. Safe to run twice; nothing found is nothing done.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import { deleteNetwork, isNamespaceOf, listNamespaces, networkOf, processesIn } from './namespaces.ts'
import { meshPaths } from './paths.ts'
import { ancestors, identifyProcess, isAlive, markedProcesses, type ProcessId } from './process-table.ts'

const NETNS_DIRECTORY = '/etc/netns'
/** For databases: long enough to end well, short enough for the person who waits. */
const GRACE_MS = 3_000
const KILL_MS = 5_000

export interface Leftovers {
  readonly processes: number
  readonly namespaces: number
}

/** Returns what it found. Rejects with a Failure when a process cannot be ended. */
export async function sweep(mesh: string, runDirectory: string): Promise<Leftovers> {
  const namespaces = (await listNamespaces()).filter((name) => isNamespaceOf(mesh, name))
  const processes = await findProcesses(mesh, namespaces)
  await endProcesses(mesh, processes)
  await deleteNetwork(networkOf(mesh), namespaces)
  removeHostsFiles(mesh)
  rmSync(meshPaths(mesh, runDirectory).root, { recursive: true, force: true })
  return { processes: processes.length, namespaces: namespaces.length }
}

async function findProcesses(mesh: string, namespaces: readonly string[]): Promise<ProcessId[]> {
  const found = new Set(markedProcesses(mesh))
  for (const namespace of namespaces) for (const pid of await processesIn(namespace)) found.add(pid)
  // `weft exec web -- weft down` must not end itself.
  const own = ancestors()
  return [...found]
    .filter((pid) => !own.has(pid))
    .map(identifyProcess)
    .filter((process) => process !== undefined)
}

async function endProcesses(mesh: string, processes: readonly ProcessId[]): Promise<void> {
  for (const [signal, waitMs] of [
    ['SIGTERM', GRACE_MS],
    ['SIGKILL', KILL_MS],
  ] as const) {
    for (const process of processes.filter(isAlive)) sendSignal(process.pid, signal)
    for (let waitedMs = 0; processes.some(isAlive) && waitedMs < waitMs; waitedMs += 20) await sleep(20)
  }
  const left = processes.filter(isAlive).map(({ pid }) => pid)
  if (left.length > 0) {
    throw new Failure(
      `processes of mesh ${mesh} cannot be ended: ${left.join(', ')}`,
      'See what holds them: ps -p PID.',
    )
  }
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // Gone already.
  }
}

function removeHostsFiles(mesh: string): void {
  if (!existsSync(NETNS_DIRECTORY)) return
  for (const name of readdirSync(NETNS_DIRECTORY)) {
    if (isNamespaceOf(mesh, name)) rmSync(join(NETNS_DIRECTORY, name), { recursive: true, force: true })
  }
  // `weft up` makes the directory where it is not there; empty it means nothing to anybody.
  if (readdirSync(NETNS_DIRECTORY).length === 0) rmSync(NETNS_DIRECTORY, { recursive: true })
}
