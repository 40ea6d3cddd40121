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

/**
 * No sidecar may make the report of its replica too large for all others: beyond these its objects are not counted and its
 * refusals not explained. 4,096 destinations with names of a usual length stay below.
 */
const MOST_OBJECT_CHARACTERS = 300_000
const MOST_ERRORS = 50
const MOST_ERROR_CHARACTERS = 300

/** `before` itself when nothing has changed since. */
export function sidecarStateOf({ pod, openedAtMs, subscriptions }: StateSource, before?: SidecarState): SidecarState {
  const held = new Set<string>()
  const errors = new Map<string, string>()
  for (const one of subscriptions()) {
    for (const object of one.objects) {
      held.add(object)
      if (one.applied !== one.current) errors.set(object, errors.get(object) || (one.refused?.error ?? ''))
    }
  }
  const objects = withinCharacters([...held].sort())
  const late = objects
    .filter((object) => errors.has(object))
    .map((object, at) => ({ object, error: at < MOST_ERRORS ? shortened(errors.get(object)) : '' }))
  const state = { pod, openedAtMs, objects, late }
  return before !== undefined && JSON.stringify(before) === JSON.stringify(state) ? before : state
}

const shortened = (error = '') => error.slice(0, MOST_ERROR_CHARACTERS)

function withinCharacters(objects: readonly string[]): readonly string[] {
  let left = MOST_OBJECT_CHARACTERS
  const end = objects.findIndex((object) => {
    left -= object.length
    return left < 0
  })
  return end === -1 ? objects : objects.slice(0, end)
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
