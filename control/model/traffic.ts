// Which TrafficPolicies act on a Service or a route: merged per field, the older wins, the loser is told which field and to whom.
import type { ObjectRef } from '#shared/decide/config.ts'
import type { Loaded } from '#shared/resources/load.ts'
import { ofKind } from '#shared/resources/load.ts'
import type { TrafficPolicyResource } from '#shared/resources/traffic-policy.ts'
import { type Merged, SECTIONS, type SettingName, settingsOf } from './settings.ts'
import { accepted, byAge, type Condition, describeRef, type ObjectStatus, refOf } from './status.ts'

export interface TrafficPolicies {
  /** What policies on a route or a Service say; empty when there are none. */
  on(kind: 'Service' | 'HTTPRoute', namespace: string, name: string): Merged
  readonly statuses: readonly ObjectStatus[]
}

const NOTHING: Merged = { settings: {}, by: new Map() }

/** `exists` tells whether a target is there. */
export function compileTrafficPolicies(
  documents: readonly Loaded[],
  exists: (target: string) => boolean,
): TrafficPolicies {
  const merged = new Map<string, Merged>()
  const statuses: ObjectStatus[] = []
  for (const policy of ofKind(documents, 'TrafficPolicy').toSorted(byAge)) {
    for (const { kind, name } of policy.spec.targetRefs) {
      const target = describeRef({ kind, namespace: policy.metadata.namespace, name })
      const before = merged.get(target) ?? NOTHING
      const found = exists(target)
      if (found) merged.set(target, add(before, policy))
      const condition = found ? conditionAfter(before, policy) : notFound(target)
      statuses.push({ object: refOf(policy), ancestor: target, conditions: [condition] })
    }
  }
  return {
    on: (kind, namespace, name) => merged.get(describeRef({ kind, namespace, name })) ?? NOTHING,
    statuses,
  }
}

function add(before: Merged, policy: TrafficPolicyResource): Merged {
  return layer(before, { settings: settingsOf(policy.spec), by: authoredBy(policy) })
}

function authoredBy(policy: TrafficPolicyResource): ReadonlyMap<SettingName, ObjectRef> {
  const ref = refOf(policy)
  return new Map(namesOf(settingsOf(policy.spec)).map((name) => [name, ref]))
}

/** `over` wins where both say something. */
export function layer(over: Merged, under: Merged): Merged {
  return { settings: { ...under.settings, ...over.settings }, by: new Map([...under.by, ...over.by]) }
}

function conditionAfter(before: Merged, policy: TrafficPolicyResource): Condition {
  const own = describeRef(refOf(policy))
  // One that names a target twice does not conflict with itself.
  const isLost = (name: SettingName) => before.by.has(name) && describeRef(before.by.get(name) ?? refOf(policy)) !== own
  const lost = namesOf(settingsOf(policy.spec)).filter((name) => !SECTIONS.has(name) && isLost(name))
  if (lost.length === 0) return accepted
  const winners = lost.map((name) => `spec.${name} is set by ${describeRef(before.by.get(name) ?? refOf(policy))}`)
  return {
    type: 'Accepted',
    status: false,
    reason: 'Conflicted',
    message: `${winners.join('; ')}, which is older or first by name; other fields are in force`,
  }
}

const namesOf = (settings: object) => Object.keys(settings) as SettingName[]

function notFound(target: string): Condition {
  return {
    type: 'Accepted',
    status: false,
    reason: 'TargetNotFound',
    message: `there is no ${target} in the namespace of this policy`,
  }
}
