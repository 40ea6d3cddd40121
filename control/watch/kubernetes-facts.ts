// Keeps the facts that are compiled as the objects of the API server are: only rows of objects that have changed are set.
import { Facts } from '../model/facts.ts'
import { refusedStatuses } from '../model/refused.ts'
import { describeRef } from '../model/status.ts'
import type { KubeDocument } from './kubernetes-documents.ts'
import type { KubeService } from './kubernetes-services.ts'
import { type KubeObjects, type MeshFacts, toLoaded, toWorldService } from './kubernetes-world.ts'

export interface KubeFacts {
  readonly facts: Facts
  /** All objects as they are now. */
  take(objects: KubeObjects): void
}

export function createKubeFacts({ trustDomain, systemNamespace, controlService }: MeshFacts): KubeFacts {
  const gateways = `${systemNamespace}/${controlService}`
  const facts = new Facts({ trustDomain, systemNamespace, gateways, hasSlices: true, hasGrants: true })
  let before: KubeObjects | undefined
  return {
    facts,
    take(now) {
      eachChange(before?.services, now.services, (name, _, service) => setService(facts, name, service))
      eachChange(before?.pods, now.pods, (name, _, pod) => facts.pods.set(name, pod))
      eachChange(before?.slices, now.slices, (name, _, slice) => facts.slices.set(name, slice))
      eachChange(before?.nodes, now.nodes, (name, _, node) => facts.nodes.set(name, node))
      eachChange(before?.grants, now.grants, (name, _, grant) => facts.grants.set(name, grant))
      for (const [index, documents] of now.documents.entries())
        eachChange(before?.documents[index], documents, (_, old, next) => setDocument(facts, old, next))
      before = now
    },
  }
}

/** The informers keep the value of an object that has not changed, and the map where none has. */
function eachChange<T>(
  before: ReadonlyMap<string, T> = new Map(),
  now: ReadonlyMap<string, T>,
  tell: (name: string, before: T | undefined, now: T | undefined) => void,
): void {
  if (before === now) return
  for (const [name, value] of before) if (!now.has(name)) tell(name, value, undefined)
  for (const [name, value] of now) if (before.get(name) !== value) tell(name, before.get(name), value)
}

function setService({ documents, services }: Facts, name: string, service: KubeService | undefined): void {
  documents.set(`Service ${name}`, service && toLoaded(service))
  services.set(name, service && toWorldService(service))
}

function setDocument({ documents, refused }: Facts, before: KubeDocument | undefined, now: KubeDocument | undefined) {
  const ref = (now ?? before)?.ref
  if (ref === undefined) return
  documents.set(describeRef(ref), now?.loaded)
  refused.set(describeRef(ref), now && now.problems.length > 0 ? refusedStatuses([now]) : undefined)
}
