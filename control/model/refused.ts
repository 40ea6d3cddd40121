// Conditions of objects that are not in force since their text is not supported or not right: the compiler never sees them.
import type { ObjectRef } from '#shared/decide/config.ts'
import { describeProblem, type Problem } from '#shared/resources/problem.ts'
import { type Condition, describeRef, type ObjectStatus } from './status.ts'

export interface Refusable {
  readonly ref: ObjectRef
  readonly ancestors: readonly { readonly kind: string; readonly namespace?: string; readonly name: string }[]
  readonly problems: readonly Problem[]
}

export function refusedStatuses(documents: readonly Refusable[]): readonly ObjectStatus[] {
  return documents.filter(({ problems }) => problems.length > 0).flatMap(refuse)
}

function refuse({ ref, ancestors, problems }: Refusable): readonly ObjectStatus[] {
  const message = `not in force: ${tell(problems)}`
  // As the Gateway API names it for routes, and GEP-713 for policies.
  const reason = ref.kind === 'HTTPRoute' ? 'UnsupportedValue' : 'Invalid'
  const invalidKind = invalidKindOf(problems)
  return ancestors.map(({ kind, namespace = ref.namespace, name }) => ({
    object: ref,
    ancestor: kind === 'Namespace' ? '' : describeRef({ kind, namespace, name }),
    conditions: [{ type: 'Accepted', status: false, reason, message }, ...invalidKind],
  }))
}

/** A condition holds 1000 characters. */
const MOST_TOLD = 20

function tell(problems: readonly Problem[]): string {
  const more = problems.length > MOST_TOLD ? [`And ${problems.length - MOST_TOLD} more`] : []
  return [...problems.slice(0, MOST_TOLD).map(describeProblem), ...more].join('. ')
}

const KIND_OF_BACKEND = /\.backendRefs\[\d+\]\.(?:group|kind)$/

/** The Gateway API asks for it wherever a backend is something else than what can be sent to. */
function invalidKindOf(problems: readonly Problem[]): readonly Condition[] {
  const found = problems.filter(({ path }) => KIND_OF_BACKEND.test(path))
  if (found.length === 0) return []
  return [{ type: 'ResolvedRefs', status: false, reason: 'InvalidKind', message: tell(found) }]
}
