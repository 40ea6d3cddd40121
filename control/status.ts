// What `weft status` shows: mistakes in the files, what became of each object, and which sidecars have what in force.
import type { SvidIdentity } from '#shared/identity/svid.ts'
import { formatProblem, type Problem } from '#shared/resources/problem.ts'
import type { Watch } from '#shared/watch.ts'
import type { Model } from './model/compile.ts'
import { type Condition, describeRef } from './model/status.ts'
import type { Counted } from './replicas/replicas.ts'
import type { SidecarStatus, Sidecars } from './serve/sidecars.ts'
import type { ObjectStanding } from './serve/standings.ts'
import type { TraceRing } from './traces/ring.ts'

export interface StatusParts {
  readonly model: Watch<Model | undefined>
  readonly problems: Watch<readonly Problem[]>
  readonly identity: Watch<SvidIdentity | undefined>
  readonly sidecars: Sidecars
  readonly ring: TraceRing
  readonly standings: readonly ObjectStanding[]
  /** null: not known yet. */
  readonly counted: Counted | null
}

export interface ObjectReport extends Omit<ObjectStanding, 'object'> {
  /** "HTTPRoute shop/catalog" */
  readonly object: string
  readonly ancestors: readonly { readonly ancestor: string; readonly conditions: readonly Condition[] }[]
}

export interface StatusReport {
  /** null: there is no good configuration yet. */
  readonly mesh: string | null
  readonly identity: { readonly id: string; readonly expiresAt: string } | null
  /** A line each. While there are any, the last good configuration stays in force. */
  readonly problems: readonly string[]
  readonly objects: readonly ObjectReport[]
  /** Whose sidecars the counts of `objects` are about: of the mesh, or of this replica alone, and then who counts them all. */
  readonly counted: Counted | null
  /** Those that are connected to this replica. */
  readonly sidecars: readonly SidecarStatus[]
  readonly traces: { readonly spans: number; readonly sizeBytes: number }
}

export function describeStatus(parts: StatusParts): StatusReport {
  const model = parts.model.current
  const identity = parts.identity.current
  return {
    mesh: model?.world.mesh.name ?? null,
    identity: identity === undefined ? null : { id: identity.id, expiresAt: identity.expiresAt.toISOString() },
    problems: parts.problems.current.map(formatProblem),
    objects: model === undefined ? [] : describeObjects(model, parts.standings),
    counted: parts.counted,
    sidecars: parts.sidecars.statuses(),
    traces: { spans: parts.ring.spanCount, sizeBytes: parts.ring.sizeBytes },
  }
}

/** Workloads and the Mesh are no configuration of a sidecar: `weft up` has made them. */
function describeObjects(model: Model, standings: readonly ObjectStanding[]): readonly ObjectReport[] {
  const byName = new Map(standings.map((standing) => [standing.object, standing]))
  return model.documents
    .filter(({ resource }) => resource.kind !== 'Mesh' && resource.kind !== 'Workload')
    .map(({ name: object }) => {
      const { applied, of, lagging, refused } = byName.get(object) ?? { applied: 0, of: 0, lagging: [], refused: [] }
      const ancestors = model.statuses
        .filter((status) => describeRef(status.object) === object)
        .map(({ ancestor, conditions }) => ({ ancestor, conditions }))
      return { object, applied, of, lagging, refused, ancestors }
    })
    .sort((one, other) => (one.object < other.object ? -1 : 1))
}
