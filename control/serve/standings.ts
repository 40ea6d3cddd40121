// From what each sidecar has in force to how far each object has come: "applied by 41 of 42", and who is late. Pure.
import type { SidecarState } from '#shared/contract/replicas.ts'
import type { SubscriptionStatus } from './subscription.ts'

/** Over the sidecars that hold a resource which the object shaped. */
export interface ObjectStanding {
  readonly object: string
  readonly applied: number
  readonly of: number
  readonly lagging: readonly string[]
  readonly refused: readonly { readonly pod: string; readonly error: string }[]
}

export interface StateSource {
  readonly pod: string
  readonly openedAtMs: number
  subscriptions(): readonly SubscriptionStatus[]
}

/** `before` itself when nothing has changed since. */
export function sidecarStateOf({ pod, openedAtMs, subscriptions }: StateSource, before?: SidecarState): SidecarState {
  const objects = new Set<string>()
  const late = new Map<string, string>()
  for (const one of subscriptions()) {
    for (const object of one.objects) {
      objects.add(object)
      if (one.applied !== one.current) late.set(object, late.get(object) || (one.refused?.error ?? ''))
    }
  }
  const state = {
    pod,
    openedAtMs,
    objects: [...objects].sort(),
    late: [...late].map(([object, error]) => ({ object, error })).sort((a, b) => (a.object < b.object ? -1 : 1)),
  }
  return before !== undefined && JSON.stringify(before) === JSON.stringify(state) ? before : state
}

interface Tally {
  of: number
  lagging: string[]
  refused: { pod: string; error: string }[]
}

/** One state for each pod. */
export function standingsOf(states: Iterable<SidecarState>): readonly ObjectStanding[] {
  const tallies = new Map<string, Tally>()
  const tallyOf = (object: string): Tally => {
    const tally = tallies.get(object) ?? { of: 0, lagging: [], refused: [] }
    tallies.set(object, tally)
    return tally
  }
  for (const { pod, objects, late } of states) {
    for (const object of objects) tallyOf(object).of++
    for (const { object, error } of late) {
      const tally = tallyOf(object)
      tally.lagging.push(pod)
      if (error !== '') tally.refused.push({ pod, error })
    }
  }
  return [...tallies]
    .map(([object, tally]) => ({ object, applied: tally.of - tally.lagging.length, ...tally }))
    .sort((a, b) => (a.object < b.object ? -1 : 1))
}
