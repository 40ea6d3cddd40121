// What the control plane says of an object, as conditions of the Gateway API and of GEP-713 say it.
import type { ObjectRef } from '#shared/decide/config.ts'
import type { Resource } from '#shared/resources/kinds.ts'

export interface Condition {
  readonly type: 'Accepted' | 'ResolvedRefs'
  readonly status: boolean
  readonly reason:
    | 'Accepted'
    | 'NoMatchingParent'
    | 'Conflicted'
    | 'TargetNotFound'
    | 'UnsupportedValue'
    | 'Invalid'
    | 'ResolvedRefs'
    | 'BackendNotFound'
    | 'InvalidKind'
    | 'TooManyRoutes'
    | 'RefNotPermitted'
  /** What an operator can do about it; empty when there is nothing to do. */
  readonly message: string
}

export interface ObjectStatus {
  readonly object: ObjectRef
  /** The parent or target that it is about: "Service shop/catalog"; empty for a MeshPolicy. */
  readonly ancestor: string
  readonly conditions: readonly Condition[]
}

export const accepted: Condition = { type: 'Accepted', status: true, reason: 'Accepted', message: '' }

export function refOf(resource: Exclude<Resource, { kind: 'Mesh' }>): ObjectRef {
  return { kind: resource.kind, namespace: resource.metadata.namespace, name: resource.metadata.name }
}

export const describeRef = (ref: ObjectRef): string => `${ref.kind} ${ref.namespace}/${ref.name}`

/** Older first; files hold no time and count as older than any; then by name. */
export function byAge(a: Dated, b: Dated): number {
  return ageOf(a) - ageOf(b) || compareText(nameOf(a), nameOf(b))
}

interface Dated {
  readonly metadata: {
    readonly namespace: string
    readonly name: string
    readonly creationTimestamp?: string | undefined
  }
}

const nameOf = ({ metadata }: Dated) => `${metadata.namespace}/${metadata.name}`
const ageOf = ({ metadata }: Dated) => createdAt(metadata.creationTimestamp) ?? 0

export function createdAt(timestamp: string | undefined): number | null {
  return timestamp === undefined ? null : Date.parse(timestamp)
}

export function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
