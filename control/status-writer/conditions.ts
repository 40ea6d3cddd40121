// What each object is to be told: one entry for each parent or target, with the conditions of the Gateway API and of GEP-713. Pure.
import type { ObjectRef } from '#shared/decide/config.ts'
import { type Condition, describeRef, type ObjectStatus } from '../model/status.ts'
import type { MeshCounts } from '../replicas/replicas.ts'
import type { ObjectStanding } from '../serve/standings.ts'
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
  /** Replicas of control whose sidecars are not counted here: then the count says "at least". */
  readonly missing: readonly string[]
  /** "41 of 42", and pods that are late; only where the kind is ours. */
  readonly applied?: string
  readonly lagging?: readonly string[]
}

/** The CRDs' own limit. */
const MOST_MESSAGE_CHARACTERS = 1000
const NAMED_SIDECARS = 3
const MOST_LAGGING = 16
const NOBODY = { applied: 0, of: 0, lagging: [], refused: [] }

export function wantedStatuses(
  documents: readonly KubeDocument[],
  statuses: readonly ObjectStatus[],
  counts: MeshCounts,
): readonly WantedStatus[] {
  const byObject = Map.groupBy(statuses, ({ object }) => describeRef(object))
  const standingOf = new Map(counts.standings().map((standing) => [standing.object, standing]))
  return documents.map((document) => {
    const name = describeRef(document.ref)
    const found = byObject.get(name) ?? []
    const count = { standing: standingOf.get(name), missing: counts.missing(name, document.generation) }
    // The compiler tells one status for each reference, in the order of the object.
    const entries = document.ancestors.map((ref, index) => ({
      ref,
      conditions: conditionsOf(document, found[index]?.conditions ?? [], count),
    }))
    return {
      object: document.ref,
      generation: document.generation,
      entries: oncePerRef(entries),
      missing: count.missing,
      ...(document.ref.kind !== 'HTTPRoute' && countOf(count)),
    }
  })
}

/** A policy may name one target twice; the list of ancestors is a map by reference and controller. */
function oncePerRef(entries: readonly WantedEntry[]): readonly WantedEntry[] {
  return [...new Map(entries.map((entry) => [JSON.stringify(entry.ref), entry])).values()]
}

interface Count {
  readonly standing: Standing | undefined
  readonly missing: readonly string[]
}

function countOf({ standing = NOBODY, missing }: Count) {
  const { applied, of, lagging } = standing
  const applies = `${missing.length === 0 ? '' : 'at least '}${applied} of ${of}`
  return { applied: applies, lagging: lagging.toSorted().slice(0, MOST_LAGGING) }
}

function conditionsOf(
  { ref, generation }: KubeDocument,
  compiled: readonly Condition[],
  count: Count,
): readonly WantedCondition[] {
  const own = compiled.map(({ type, status, reason, message }) => ({
    type,
    status: status ? ('True' as const) : ('False' as const),
    reason,
    message: message.slice(0, MOST_MESSAGE_CHARACTERS),
    observedGeneration: generation,
  }))
  const isInForce = !compiled.some(({ reason }) => NEVER_IN_FORCE.has(reason))
  const programmed = isInForce ? programmedBy(count, ref.kind !== 'HTTPRoute') : NOT_IN_FORCE
  return [...own, { type: 'Programmed', observedGeneration: generation, ...programmed }]
}

type Programmed = Pick<WantedCondition, 'status' | 'reason' | 'message'>

/** Of a policy that is Conflicted the other fields are in force, and a route with a broken reference answers for it. */
const NEVER_IN_FORCE: ReadonlySet<Condition['reason']> = new Set([
  'NoMatchingParent',
  'TooManyRoutes',
  'TargetNotFound',
  'UnsupportedValue',
  'Invalid',
])
const NOT_IN_FORCE: Programmed = { status: 'False', reason: 'Invalid', message: 'not in force: see Accepted' }

/** `isCounted`: on kinds that are not ours a count that changes with each pod would be noise for who owns them. */
function programmedBy({ standing = NOBODY, missing }: Count, isCounted: boolean): Programmed {
  const isWhole = missing.length === 0
  const unheard = isWhole ? '' : `no full report yet of the control replica ${someOf(missing)}`
  const { applied, of, refused } = standing
  if (of === 0) return { status: 'Unknown', reason: 'Pending', message: unheard || 'no sidecar has asked for it yet' }
  const told = isCounted ? [countText(standing, isWhole), faultText(standing)] : [refusalText(standing)]
  const message = joined([...told, unheard])
  if (applied < of) return { status: 'False', reason: refused.length === 0 ? 'Pending' : 'Invalid', message }
  return isWhole ? { status: 'True', reason: 'Programmed', message } : { status: 'Unknown', reason: 'Pending', message }
}

type Standing = Omit<ObjectStanding, 'object'>

const countText = ({ applied, of }: Standing, isWhole: boolean) =>
  `applied by ${isWhole ? '' : 'at least '}${applied} of ${of} sidecars`

const refusalText = ({ refused: [first] }: Standing) =>
  first === undefined ? '' : `${first.pod} refuses it: ${first.error}`

function faultText(standing: Standing): string {
  const { lagging } = standing
  if (lagging.length === 0 || standing.refused.length > 0) return refusalText(standing)
  return `${someOf(lagging)} ${lagging.length === 1 ? 'lags' : 'lag'}`
}

const joined = (parts: readonly string[]) =>
  parts
    .filter((part) => part !== '')
    .join('; ')
    .slice(0, MOST_MESSAGE_CHARACTERS)

function someOf(names: readonly string[]): string {
  const more = names.length - NAMED_SIDECARS
  return names.slice(0, NAMED_SIDECARS).join(', ') + (more > 0 ? ` and ${more} more` : '')
}
