// Which TrafficPolicies act on a Service or a route: merged per field, the older wins, the loser is told which field and to whom.
import type { ObjectRef } from '#shared/decide/config.ts'
import type { TrafficPolicyResource } from '#shared/resources/traffic-policy.ts'
import { type Documents, resourceOf, resourcesOf } from './facts.ts'
import { type Merged, SECTIONS, type SettingName, settingsOf } from './settings.ts'
import { accepted, byAge, type Condition, describeRef, type ObjectStatus, refOf } from './status.ts'
import type { Remember } from './tracked.ts'

export interface TrafficPolicies {
  /** What policies on a route or a Service say; empty when there are none. */
  on(kind: 'Service' | 'HTTPRoute', namespace: string, name: string): Merged
  /** Of one policy, "TrafficPolicy shop/calm": a status for each target; of what is none nothing. */
  statusesOf(policy: string): readonly ObjectStatus[]
}

/** What acts on a target, and what each policy is told of it, by the name of the policy. */
interface OnTarget {
  readonly merged: Merged
  readonly conditions: ReadonlyMap<string, Condition>
}

const NOTHING: Merged = { settings: {}, by: new Map() }

export function compileTrafficPolicies(documents: Documents, remember: Remember): TrafficPolicies {
  const targets = remember((target) => compileTarget(documents, target))
  const tell = (policy: TrafficPolicyResource) =>
    policy.spec.targetRefs.map(({ kind, name }): ObjectStatus => {
      const object = refOf(policy)
      const ancestor = describeRef({ kind, namespace: object.namespace, name })
      const condition = targets.get(ancestor).conditions.get(describeRef(object)) ?? notFound(ancestor)
      return { object, ancestor, conditions: [condition] }
    })
  const told = remember((name) => {
    const policy = resourceOf(documents, name, 'TrafficPolicy')
    return policy === undefined ? [] : tell(policy)
  })
  return {
    on: (kind, namespace, name) => targets.get(describeRef({ kind, namespace, name })).merged,
    statusesOf: (policy) => told.get(policy),
  }
}

function compileTarget(documents: Documents, target: string): OnTarget {
  const conditions = new Map<string, Condition>()
  let merged = NOTHING
  const isThere = documents.get(target) !== undefined
  const policies = resourcesOf(documents, documents.by('target', target), 'TrafficPolicy')
  for (const policy of policies.toSorted(byAge)) {
    conditions.set(describeRef(refOf(policy)), isThere ? conditionAfter(merged, policy) : notFound(target))
    if (isThere) merged = add(merged, policy)
  }
  return { merged, conditions }
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
  const lost = namesOf(settingsOf(policy.spec)).filter((name) => !SECTIONS.has(name) && before.by.has(name))
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
