// What a replica has to tell since it last told something: whole sidecars that changed, cut into messages of a moderate size. Pure.
import type { ReplicaReport, SidecarState } from '#shared/contract/replicas.ts'

export interface Standing {
  readonly sidecars: readonly SidecarState[]
  /** Objects and the generation in which they are compiled. */
  readonly compiled: ReadonlyMap<string, number>
}

/** A quarter of what a message may have; one sidecar with a hundred destinations says some 10 kB. */
const MESSAGE_CHARACTERS = 256 * 1024

/** Remembers what it was asked about: what comes out must be told, in order. Empty: nothing new. */
export function createDifferences(replica: string): (now: Standing) => readonly ReplicaReport[] {
  let told = new Map<string, SidecarState>()
  let toldCompiled: ReadonlyMap<string, number> = new Map()
  let isFirst = true
  const messageOf = (part: Partial<ReplicaReport>): ReplicaReport => ({ ...NOTHING, replica, ...part })
  return ({ sidecars, compiled }) => {
    const next = new Map(sidecars.map((state) => [state.pod, state]))
    const changed = sidecars.filter((state) => told.get(state.pod) !== state)
    const gone = [...told.keys()].filter((pod) => !next.has(pod))
    const newer = [...compiled]
      .filter(([object, generation]) => toldCompiled.get(object) !== generation)
      .map(([object, generation]) => ({ object, generation }))
    const forgotten = [...toldCompiled.keys()].filter((object) => !compiled.has(object))
    const isNothing = [changed, gone, newer, forgotten].every(({ length }) => length === 0)
    if (isNothing && !isFirst) return []
    told = next
    toldCompiled = new Map(compiled)
    isFirst = false
    // That a generation is compiled says something of the sidecars only when they have been told too: so they come first.
    return [
      ...parts(gone).map((part) => messageOf({ gone: part })),
      ...parts(changed).map((part) => messageOf({ changed: part })),
      ...parts(forgotten).map((part) => messageOf({ forgotten: part })),
      ...parts(newer).map((part) => messageOf({ compiled: part })),
      messageOf({ isWhole: true }),
    ]
  }
}

const NOTHING = { changed: [], gone: [], compiled: [], forgotten: [], isWhole: false }

function parts<T>(items: readonly T[]): readonly (readonly T[])[] {
  const result: T[][] = []
  let size = Number.POSITIVE_INFINITY
  for (const item of items) {
    if (size > MESSAGE_CHARACTERS) {
      result.push([])
      size = 0
    }
    result.at(-1)?.push(item)
    size += JSON.stringify(item).length
  }
  return result
}
