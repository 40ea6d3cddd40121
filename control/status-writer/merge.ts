// The status of an object with our entries in it and everybody else's as they are. The lists are atomic in their CRDs, so that
// server-side apply would take all of them over. Pure.
import type { KubeObject } from '#shared/kube/objects.ts'
import { CONTROLLER_NAME } from '../watch/kubernetes-documents.ts'
import type { WantedCondition, WantedStatus } from './conditions.ts'

type Written = WantedCondition & { readonly lastTransitionTime?: string }

interface Entry {
  readonly controllerName?: string
  readonly parentRef?: object
  readonly ancestorRef?: object
  readonly conditions?: readonly Written[]
}

/** Where the entries lie, as the Gateway API has it for routes and GEP-713 for policies, and how many their lists take. */
const LISTS = {
  HTTPRoute: { list: 'parents', ref: 'parentRef', most: 32 },
  policy: { list: 'ancestors', ref: 'ancestorRef', most: 16 },
} as const

const OWN_TYPES: ReadonlySet<string> = new Set(['Accepted', 'ResolvedRefs', 'Programmed'])

export interface PatchOptions {
  /** As "2026-01-31T12:00:00Z". */
  readonly now: string
  /** What the object says of the same generation's count stays: what is known here is only a part. */
  readonly isCountKept: boolean
}

/** A merge patch of the status; undefined: it says all this already. */
export function statusPatch(object: KubeObject, wanted: WantedStatus, options: PatchOptions): object | undefined {
  const { list, ref, most } = wanted.object.kind === 'HTTPRoute' ? LISTS.HTTPRoute : LISTS.policy
  const status = (object['status'] ?? {}) as Readonly<Record<string, unknown>>
  const before = (status[list] ?? []) as readonly Entry[]
  const own = before.filter(({ controllerName }) => controllerName === CONTROLLER_NAME)
  const others = before.filter(({ controllerName }) => controllerName !== CONTROLLER_NAME)
  const next = wanted.entries
    .map((entry) => {
      const known = own.find((one) => sameFields(one[ref] ?? {}, entry.ref))?.conditions ?? []
      const conditions = mergeConditions(known, entry.conditions, options)
      return { [ref]: entry.ref, controllerName: CONTROLLER_NAME, conditions }
    })
    // Of a full list the Gateway API says that nobody may add to it.
    .slice(0, Math.max(0, most - others.length))
  const countBefore = { applied: status['applied'], lagging: status['lagging'] }
  const isKept = options.isCountKept && countBefore.applied !== undefined && own.some(isOf(wanted.generation))
  const count = wanted.applied === undefined || isKept ? {} : { applied: wanted.applied, lagging: wanted.lagging }
  const isSameCount = Object.keys(count).length === 0 || sameFields(count, countBefore)
  if (sameFields(own, next) && isSameCount) return undefined
  return {
    metadata: { resourceVersion: object.metadata.resourceVersion },
    status: { [list]: [...others, ...next], ...count },
  }
}

const isOf = (generation: number) => (entry: Entry) =>
  entry.conditions?.some((condition) => isProgrammedOf(condition, generation)) === true

const isProgrammedOf = ({ type, observedGeneration }: Written, generation: number) =>
  type === 'Programmed' && observedGeneration === generation

/** Those that are not ours stay, where they are: the Gateway API forbids to remove or reorder them. */
function mergeConditions(
  known: readonly Written[],
  wanted: readonly WantedCondition[],
  { now, isCountKept }: PatchOptions,
): readonly Written[] {
  const next = new Map<string, Written>(known.filter(({ type }) => !OWN_TYPES.has(type)).map((one) => [one.type, one]))
  for (const condition of wanted) {
    const before = known.find(({ type }) => type === condition.type)
    const isKept = isCountKept && before !== undefined && isProgrammedOf(before, condition.observedGeneration)
    // A condition's time is that of the last change of its status, not of its words.
    const since = before?.status === condition.status ? before.lastTransitionTime : undefined
    next.set(condition.type, isKept ? before : { ...condition, lastTransitionTime: since ?? now })
  }
  return [...known.flatMap(({ type }) => next.get(type) ?? []), ...[...next].flatMap(added(known))]
}

const added =
  (known: readonly Written[]) =>
  ([type, condition]: readonly [string, Written]): readonly Written[] =>
    known.some((one) => one.type === type) ? [] : [condition]

function sameFields(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other)
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}
