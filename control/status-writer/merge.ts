// The status of an object with our entries in it and everybody else's as they are. The lists are atomic in their CRDs, so that
// server-side apply would take all of them over. Pure.
import type { KubeObject } from '#shared/kube/objects.ts'
import type { WantedCondition, WantedStatus } from './conditions.ts'

const CONTROLLER_NAME = 'weft.dev/controller'

interface Entry {
  readonly controllerName?: string
  readonly parentRef?: object
  readonly ancestorRef?: object
  readonly conditions?: readonly (WantedCondition & { readonly lastTransitionTime?: string })[]
}

/** Where the entries lie: as the Gateway API has it for routes, and GEP-713 for policies. */
const LISTS = {
  HTTPRoute: { list: 'parents', ref: 'parentRef' },
  policy: { list: 'ancestors', ref: 'ancestorRef' },
} as const

/** A merge patch of the status; undefined: it says all this already. `now` as "2026-01-31T12:00:00Z". */
export function statusPatch(object: KubeObject, wanted: WantedStatus, now: string): object | undefined {
  const { list, ref } = wanted.object.kind === 'HTTPRoute' ? LISTS.HTTPRoute : LISTS.policy
  const status = (object['status'] ?? {}) as Readonly<Record<string, unknown>>
  const before = (status[list] ?? []) as readonly Entry[]
  const own = before.filter(({ controllerName }) => controllerName === CONTROLLER_NAME)
  const others = before.filter(({ controllerName }) => controllerName !== CONTROLLER_NAME)
  const next = wanted.entries.map((entry) => {
    const known = own.find((one) => sameFields(one[ref] ?? {}, entry.ref))
    const conditions = entry.conditions.map((condition) => ({
      ...condition,
      lastTransitionTime: transitionTime(known, condition) ?? now,
    }))
    return { [ref]: entry.ref, controllerName: CONTROLLER_NAME, conditions }
  })
  const { applied, lagging } = wanted
  const count = applied === undefined ? {} : { applied, lagging }
  const countBefore = applied === undefined ? {} : { applied: status['applied'], lagging: status['lagging'] }
  if (sameFields(own, next) && sameFields(count, countBefore)) return undefined
  return {
    metadata: { resourceVersion: object.metadata.resourceVersion },
    status: { [list]: [...others, ...next], ...count },
  }
}

/** A condition's time is that of the last change of its status, not of its words. */
function transitionTime(known: Entry | undefined, { type, status }: WantedCondition): string | undefined {
  const before = known?.conditions?.find((condition) => condition.type === type)
  return before?.status === status ? before.lastTransitionTime : undefined
}

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
