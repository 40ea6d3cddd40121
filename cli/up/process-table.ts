// What runs on this machine, read from /proc: to find the processes of a mesh by their mark, also those that nobody waits for.
import { readdirSync, readFileSync } from 'node:fs'

/** In the environment of every process of a mesh. */
export const MESH_MARK = 'WEFT_MESH'

/** A process id alone may be given to another process later; with the time of its start it is one process. */
export interface ProcessId {
  readonly pid: number
  /** Clock ticks since boot. */
  readonly startedAt: string
}

export function identifyProcess(pid: number): ProcessId | undefined {
  const fields = statFields(pid)
  const startedAt = fields?.[19]
  // A zombie has ended; its parent has yet to read that.
  return startedAt === undefined || fields?.[0] === 'Z' ? undefined : { pid, startedAt }
}

export function isAlive(process: ProcessId): boolean {
  return identifyProcess(process.pid)?.startedAt === process.startedAt
}

/** Processes that carry the mark of this mesh. */
export function markedProcesses(mesh: string): number[] {
  const mark = `${MESH_MARK}=${mesh}`
  return allProcesses().filter((pid) => readText(`/proc/${pid}/environ`)?.split('\0').includes(mark))
}

/** This process and those that started it. */
export function ancestors(): ReadonlySet<number> {
  const found = new Set<number>()
  for (let pid = process.pid; pid > 0 && !found.has(pid); pid = Number(statFields(pid)?.[1] ?? 0)) found.add(pid)
  return found
}

function allProcesses(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

/** The fields of /proc/PID/stat from the third on (state, parent, ...): the second, the name, may hold anything. */
function statFields(pid: number): string[] | undefined {
  const text = readText(`/proc/${pid}/stat`)
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}
