// What is in force, on the pod's own volume, so that a restarted sidecar serves without control. Written some time after a change,
// whole or not at all; a file that cannot be read is as good as none.
import { readFileSync } from 'node:fs'
import { chmod, rename, writeFile } from 'node:fs/promises'
import type { Clock } from '#shared/clock.ts'
import type { EndpointState, Resource } from '#shared/contract/discovery.ts'
import type { Log } from '#shared/log.ts'
import type { DiscoveryState } from './state.ts'

/** Another number is another format: read as none. */
const FORMAT = 1
const DELAY_MS = 100

interface Snapshot {
  readonly format: number
  /** A snapshot of another pod is none of ours. */
  readonly pod: string
  readonly resources: readonly Resource[]
}

/** Endpoints before the destinations that need them, as control sends them. */
export function snapshotOf(state: DiscoveryState, pod: string): Snapshot {
  const resources: Resource[] = []
  for (const [name, list] of state.lists) {
    if (list.version === '') continue
    const endpoints: readonly EndpointState[] = list.states()
    resources.push({ type: 'ENDPOINTS', name, version: list.version, endpoints: { endpoints } })
  }
  for (const { key: name, version, standing, config, range } of state.entries.values()) {
    const head = { type: 'DESTINATION' as const, name, version }
    if (standing === 'not ours') resources.push({ ...head, notOurs: { cidr: range?.text ?? '' } })
    if (config !== null) resources.push({ ...head, configuration: JSON.stringify(config) })
  }
  const workload = state.workload.current
  if (workload !== undefined) {
    const version = state.workloadVersion
    resources.push({ type: 'WORKLOAD', name: pod, version, configuration: JSON.stringify(workload) })
  }
  return { format: FORMAT, pod, resources }
}

/** Returns nothing when there is no file, it is of another pod or format, or it cannot be read. */
export function readSnapshot(file: string, pod: string, log: Log): readonly Resource[] {
  try {
    const snapshot = JSON.parse(readFileSync(file, 'utf8')) as Partial<Snapshot>
    const isOurs = snapshot.format === FORMAT && snapshot.pod === pod && Array.isArray(snapshot.resources)
    return isOurs ? (snapshot.resources ?? []) : []
  } catch (error) {
    const isAbsent = (error as NodeJS.ErrnoException).code === 'ENOENT'
    if (!isAbsent) log.warn({ err: error, file }, 'the snapshot cannot be read; starting without')
    return []
  }
}

export interface SnapshotWriter {
  /** Something has changed: it will be written soon. */
  touch(): void
  /** Writes what is not yet written. */
  close(): Promise<void>
}

export function createSnapshotWriter(file: string, take: () => Snapshot, clock: Clock, log: Log): SnapshotWriter {
  let cancel: (() => void) | null = null
  let isWriting: Promise<void> = Promise.resolve()
  const write = () => {
    cancel?.()
    cancel = null
    // One after the other, so that an older state never comes to lie over a newer one.
    isWriting = isWriting.then(() =>
      replaceFile(file, JSON.stringify(take())).catch((error: unknown) =>
        log.warn({ err: error, file }, 'the snapshot cannot be written'),
      ),
    )
  }
  return {
    touch() {
      cancel ??= clock.after(DELAY_MS, write)
    },
    async close() {
      if (cancel !== null) write()
      await isWriting
    },
  }
}

async function replaceFile(file: string, text: string): Promise<void> {
  const draft = `${file}.new`
  await writeFile(draft, text, { mode: 0o600 })
  // A draft that a killed run left keeps its old mode.
  await chmod(draft, 0o600)
  await rename(draft, file)
}
