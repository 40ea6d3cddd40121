// What each object is to be told: one entry for each parent or target, with the conditions of the Gateway API and of GEP-713. Pure.
import type { ObjectRef } from '#shared/decide/config.ts'
import { type Condition, describeRef, type ObjectStatus } from '../model/status.ts'
import type { ObjectStanding } from '../serve/sidecars.ts'
import type { AncestorRef, KubeDocument } from '../watch/kubernetes-documents.ts'

/** A metav1.Condition without its time, which depends on what was there before. */
export interface WantedCondition {
  readonly type: 'Accepted' | 'ResolvedRefs' | 'Programmed'
  readonly status: 'True' | 'False' | 'Unknown'
  readonly reason: string
  readonly message: string
  readonly observedGeneration: number
}

export interface WantedEntry {
  readonly ref: AncestorRef
  readonly conditions: readonly WantedCondition[]
}

export interface WantedStatus {
  readonly object: ObjectRef
  readonly generation: number
  readonly entries: readonly WantedEntry[]
  /** "41 of 42", and pods that are late; only where the kind is ours. */
  readonly applied?: string
  readonly lagging?: readonly string[]
}

/** The CRDs' own limit. */
const MOST_MESSAGE_CHARACTERS = 1000
const NAMED_SIDECARS = 3
const MOST_LAGGING = 16
const NOBODY = { applied: 0, of: 0, lagging: [] }

export function wantedStatuses(
  documents: readonly KubeDocument[],
  statuses: readonly ObjectStatus[],
  standings: readonly ObjectStanding[],
): readonly WantedStatus[] {
  const byObject = Map.groupBy(statuses, ({ object }) => describeRef(object))
  const standingOf = new Map(standings.map((standing) => [standing.object, standing]))
  return documents.map((document) => {
    const name = describeRef(document.ref)
    const found = byObject.get(name) ?? []
    const standing = standingOf.get(name)
    // The compiler tells one status for each reference, in the order of the object.
    const entries = document.ancestors.map((ref, index) => ({
      ref,
      conditions: conditionsOf(document, found[index]?.conditions ?? [], standing),
    }))
    const count = document.ref.kind === 'HTTPRoute' ? {} : countOf(standing)
    return { object: document.ref, generation: document.generation, entries, ...count }
  })
}

function countOf({ applied, of, lagging }: Pick<ObjectStanding, 'applied' | 'of' | 'lagging'> = NOBODY) {
  return { applied: `${applied} of ${of}`, lagging: lagging.toSorted().slice(0, MOST_LAGGING) }
}

function conditionsOf(
  { ref, generation }: KubeDocument,
  compiled: readonly Condition[],
  standing: ObjectStanding | undefined,
): readonly WantedCondition[] {
  const own = compiled.map(({ type, status, reason, message }) => ({
    type,
    status: status ? ('True' as const) : ('False' as const),
    reason,
    message: message.slice(0, MOST_MESSAGE_CHARACTERS),
    observedGeneration: generation,
  }))
  const isInForce = !compiled.some(({ reason }) => NEVER_IN_FORCE.has(reason))
  const programmed = isInForce ? programmedBy(standing, ref.kind !== 'HTTPRoute') : NOT_IN_FORCE
  return [...own, { type: 'Programmed', observedGeneration: generation, ...programmed }]
}

type Programmed = Pick<WantedCondition, 'status' | 'reason' | 'message'>

/** Of a policy that is Conflicted the other fields are in force, and a route with a broken reference answers for it. */
const NEVER_IN_FORCE: ReadonlySet<Condition['reason']> = new Set([
  'NoMatchingParent',
  'TargetNotFound',
  'UnsupportedValue',
  'Invalid',
])
const NOT_IN_FORCE: Programmed = { status: 'False', reason: 'Invalid', message: 'not in force: see Accepted' }

/** `isCounted`: on kinds that are not ours a count that changes with each pod would be noise for who owns them. */
function programmedBy(standing: ObjectStanding | undefined, isCounted: boolean): Programmed {
  if (standing === undefined || standing.of === 0) {
    return { status: 'Unknown', reason: 'Pending', message: 'no sidecar has asked for it yet' }
  }
  const { applied, of, lagging, refused } = standing
  const isDone = applied === of
  const count = isCounted ? `applied by ${applied} of ${of} sidecars` : ''
  const refusal = refused[0] === undefined ? '' : `${refused[0].pod} refuses it: ${refused[0].error}`
  const late =
    lagging.length === 0 || refusal !== '' ? '' : `${someOf(lagging)} ${lagging.length === 1 ? 'lags' : 'lag'}`
  const message = [count, isCounted || refusal !== '' ? refusal || late : ''].filter((part) => part !== '').join('; ')
  return {
    status: isDone ? 'True' : 'False',
    reason: isDone ? 'Programmed' : refusal === '' ? 'Pending' : 'Invalid',
    message: message.slice(0, MOST_MESSAGE_CHARACTERS),
  }
}

function someOf(names: readonly string[]): string {
  const more = names.length - NAMED_SIDECARS
  return names.slice(0, NAMED_SIDECARS).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
