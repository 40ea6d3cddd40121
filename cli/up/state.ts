// state.json of a running mesh: what the supervisor knows, for `weft status`, `logs`, `exec` and `down`. And the lock under
// which meshes are claimed, so that two that start at once choose different addresses.
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import { meshPaths, writeAtomic } from './paths.ts'
import { identifyProcess, isAlive, type ProcessId } from './process-table.ts'

export interface ProcessState {
  readonly pid: number | null
  readonly restarts: number
  /** "exit 1", "SIGKILL"; null while it has not ended once. */
  readonly lastEnd: string | null
}

export interface PodState {
  readonly name: string
  readonly namespace: string
  readonly workload: string
  readonly identity: string
  readonly addresses: readonly string[]
  readonly networkNamespace: string
  readonly isMeshed: boolean
  readonly ready: boolean
  readonly terminating: boolean
  readonly application: ProcessState
  readonly sidecar: ProcessState | null
  readonly services: readonly string[]
  /** How the application is run, so that `weft exec` runs a command alike. */
  readonly env: Readonly<Record<string, string>>
  readonly workingDirectory: string
  readonly user: { readonly uid: number | null; readonly gid: number | null }
}

export interface ServiceState {
  readonly name: string
  readonly namespace: string
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
  readonly pods: readonly string[]
}

export interface MeshState {
  readonly name: string
  readonly supervisor: ProcessId & { readonly isCommand: boolean }
  /** All ranges of the mesh; empty until they are chosen. */
  readonly ranges: readonly string[]
  readonly gateways: readonly string[]
  readonly file: string
  readonly phase: 'starting' | 'up' | 'stopping'
  /** certs and control, where there are sidecars. */
  readonly system: readonly (ProcessState & { readonly name: string })[]
  readonly pods: readonly PodState[]
  readonly services: readonly ServiceState[]
}

export function readState(mesh: string, runDirectory: string): MeshState | undefined {
  try {
    return JSON.parse(readFileSync(meshPaths(mesh, runDirectory).state, 'utf8')) as MeshState
  } catch {
    return undefined
  }
}

export function writeState(state: MeshState, runDirectory: string): void {
  writeAtomic(meshPaths(state.name, runDirectory).state, `${JSON.stringify(state, null, 2)}\n`, 0o600)
}

/** Names of all meshes that have a directory: they run, or were killed. */
export function knownMeshes(runDirectory: string): string[] {
  try {
    return readdirSync(runDirectory, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .map((entry) => entry.name)
  } catch {
    return []
  }
}

export function isRunning(state: MeshState | undefined): state is MeshState {
  return state !== undefined && isAlive(state.supervisor)
}

/** Runs the task while no other process of this machine claims a mesh or clears one away. */
export async function withLock<T>(runDirectory: string, task: () => Promise<T>): Promise<T> {
  mkdirSync(runDirectory, { recursive: true, mode: 0o755 })
  const lock = join(runDirectory, '.lock')
  for (let waitedMs = 0; !take(lock); waitedMs += 50) {
    if (waitedMs >= 60_000) throw new Failure(`another weft holds ${lock} for a minute`, `End it, or remove ${lock}.`)
    await sleep(50)
  }
  try {
    return await task()
  } finally {
    rmSync(lock, { force: true })
  }
}

function take(lock: string): boolean {
  try {
    writeFileSync(lock, JSON.stringify(identifyProcess(process.pid)), { flag: 'wx' })
    return true
  } catch {
    if (isAbandoned(lock)) rmSync(lock, { force: true })
    return false
  }
}

function isAbandoned(lock: string): boolean {
  try {
    return !isAlive(JSON.parse(readFileSync(lock, 'utf8')) as ProcessId)
  } catch {
    // Gone, or its holder is about to write it.
    return false
  }
}
