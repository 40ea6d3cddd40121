// Routes and policies as the API server has them, through the same schemas as files. What Weft does not support makes a problem of
// that one object and of no other; such an object is not in force at all, as half a route is another route.
import type { ObjectRef } from '#shared/decide/config.ts'
import type { KubeObject } from '#shared/kube/objects.ts'
import { KINDS } from '#shared/resources/kinds.ts'
import { checkResource, type Loaded } from '#shared/resources/load.ts'
import type { Problem } from '#shared/resources/problem.ts'
import type { WorldGrant } from '#shared/standalone/world.ts'

export const SOURCE = 'kubernetes'
/** As which control signs its entries in a status. */
export const CONTROLLER_NAME = 'weft.dev/controller'

export interface KubeDocument {
  readonly ref: ObjectRef
  /** Of the object as it was read: what a condition is about. */
  readonly generation: number
  /** References as the object writes them: parents of a route, targets of a policy. One that was refused has them too. */
  readonly ancestors: readonly AncestorRef[]
  /** Absent: refused, and `problems` say why. */
  readonly loaded?: Loaded
  readonly problems: readonly Problem[]
}

export interface AncestorRef {
  readonly group: string
  readonly kind: string
  readonly name: string
  readonly namespace?: string
  readonly sectionName?: string
  readonly port?: number
}

/**
 * undefined: a route that has no Service as parent is for somebody else (a gateway). One that had such a parent stays, without any,
 * until what its status says of it is gone, whichever replica wrote that.
 */
export function readRoute(object: KubeObject): KubeDocument | undefined {
  const spec = (object['spec'] ?? {}) as { readonly parentRefs?: readonly AncestorRef[] }
  const parents = (spec.parentRefs ?? []).filter(({ group, kind }) => group === '' && kind === 'Service')
  if (parents.length === 0) return isToldByUs(object) ? withoutParents(object) : undefined
  return readDocument(object, 'HTTPRoute', parents, { ...spec, parentRefs: parents })
}

function isToldByUs(object: KubeObject): boolean {
  const { parents = [] } = (object['status'] ?? {}) as { parents?: readonly { readonly controllerName?: string }[] }
  return parents.some(({ controllerName }) => controllerName === CONTROLLER_NAME)
}

function withoutParents({ metadata }: KubeObject): KubeDocument {
  const { name = '', namespace = '', generation = 0 } = metadata
  return { ref: { kind: 'HTTPRoute', namespace, name }, generation, ancestors: [], problems: [] }
}

export function readPolicy(kind: 'TrafficPolicy' | 'MeshPolicy') {
  return (object: KubeObject): KubeDocument => {
    const spec = (object['spec'] ?? {}) as { readonly targetRefs?: readonly AncestorRef[] }
    // A policy for a whole namespace has no target that it names.
    const { namespace = '' } = object.metadata
    const ancestors =
      kind === 'MeshPolicy' ? [{ group: '', kind: 'Namespace', name: namespace }] : (spec.targetRefs ?? [])
    return readDocument(object, kind, ancestors, spec)
  }
}

function readDocument(
  { metadata }: KubeObject,
  kind: 'HTTPRoute' | 'TrafficPolicy' | 'MeshPolicy',
  ancestors: readonly AncestorRef[],
  spec: object,
): KubeDocument {
  const { name = '', namespace = '', creationTimestamp, generation = 0 } = metadata
  // In a list the items do not say their kind.
  const written = { name, namespace, ...(creationTimestamp !== undefined && { creationTimestamp }) }
  const result = checkResource(SOURCE, { apiVersion: KINDS[kind].apiVersion, kind, metadata: written, spec })
  const head = { ref: { kind, namespace, name }, generation, ancestors }
  return 'resource' in result ? { ...head, loaded: result, problems: [] } : { ...head, problems: result.problems }
}

/** Checked by its CRD. */
export function readGrant({ metadata, spec }: KubeObject): WorldGrant {
  const { from = [], to = [] } = (spec ?? {}) as Partial<WorldGrant>
  return { namespace: metadata.namespace ?? '', from, to }
}
