// What a route or policy would be told, were it in force: the functions that compile do it, over documents of which one is another.
import type { Loaded } from '#shared/resources/load.ts'
import type { Documents, Facts } from './facts.ts'
import type { Inventory } from './inventory.ts'
import { compileMeshPolicies } from './mesh-policies.ts'
import { compileRoutes } from './routes.ts'
import { describeRef, type ObjectStatus } from './status.ts'
import { forOnce } from './tracked.ts'
import { compileTrafficPolicies } from './traffic.ts'

export interface JudgeParts {
  readonly facts: Facts
  readonly inventory: Inventory
}

/** What a Service or pod is does not follow from routes and policies. */
export function judge(document: Loaded, { facts, inventory }: JudgeParts): readonly ObjectStatus[] {
  const { resource, name } = document
  const documents = withDocument(facts, document)
  const policies = compileTrafficPolicies(documents, forOnce)
  if (resource.kind === 'HTTPRoute') return compileRoutes({ documents, inventory, policies }, forOnce).statusesOf(name)
  if (resource.kind === 'MeshPolicy') {
    const { statusesOf } = compileMeshPolicies({ documents, facts }, forOnce)
    return [...documents.by('kind', 'MeshPolicy')].flatMap(statusesOf)
  }
  if (resource.kind !== 'TrafficPolicy') return []
  // It can quarrel with those alone that act where it acts.
  const targets = resource.spec.targetRefs.map((target) =>
    describeRef({ kind: target.kind, namespace: resource.metadata.namespace, name: target.name }),
  )
  const rivals = new Set(targets.flatMap((target) => [...documents.by('target', target)]))
  return [...rivals].flatMap((rival) => policies.statusesOf(rival))
}

/** In place of the one of its name, if there is one. */
function withDocument({ documents, keysOf }: Facts, document: Loaded): Documents {
  const { name } = document
  return {
    get: (wanted) => (wanted === name ? document : documents.get(wanted)),
    by(index, key) {
      const names = new Set(documents.by(index, key))
      if (keysOf[index](document).includes(key)) names.add(name)
      else names.delete(name)
      return names
    },
  }
}
