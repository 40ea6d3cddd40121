// From documents and the state of the world to what each sidecar is told: the same facts give the same model, whatever they were before.
import type { EndpointState, Family } from '#shared/contract/discovery.ts'
import type { DestinationConfig, ObjectRef, WorkloadConfig } from '#shared/decide/config.ts'
import type { Loaded } from '#shared/resources/load.ts'
import type { Place, World, WorldSlice } from '#shared/standalone/world.ts'
import { destinationOf } from './destinations.ts'
import { endpointsOf, serviceOfBackend } from './endpoints.ts'
import { type Facts, factsOf } from './facts.ts'
import { createInventory, type Inventory, type Pod } from './inventory.ts'
import { judge } from './judge.ts'
import { listed } from './listed.ts'
import { compileMeshPolicies, type MeshPolicies } from './mesh-policies.ts'
import { compileRanges } from './ranges.ts'
import { compileRoutes, type Routes } from './routes.ts'
import { describeRef, type ObjectStatus } from './status.ts'
import { createTopology, type Topology } from './topology.ts'
import { remembered } from './tracked.ts'
import { compileTrafficPolicies, type TrafficPolicies } from './traffic.ts'
import { workloadOf } from './workloads.ts'

/** Of models that follow each other from one set of facts the older says what the newest says. */
export interface Model {
  /** The same for those. */
  readonly origin: object
  readonly documents: readonly Loaded[]
  readonly world: World
  /** Ranges of pods and services: no address outside them is of the mesh. */
  readonly ranges: readonly string[]
  pod(name: string): { readonly namespace: string; readonly serviceAccount: string } | null
  /** null: not of the mesh. `key` is a formatted address ("10.77.128.3:8080"); routes follow from the caller's namespace. */
  destination(key: string, callerNamespace: string): DestinationConfig | null
  /** As much of where a pod is as the endpoints of a backend depend on. */
  placeOf(backend: string, pod: string): Place
  /** Of a backend key in a DestinationConfig; ready pods, in the order of their names. `place`: that of the caller; absent: of no one. */
  endpoints(backend: string, family: Family, place?: Place): readonly EndpointState[]
  /** Behind a service, "shop/catalog"; none where there are none at all. */
  slicesOf(service: string): readonly WorldSlice[]
  /** null: no such pod, or it has no sidecar. */
  workload(pod: string): WorkloadConfig | null
  /** MeshPolicies that set something for a pod. */
  workloadObjects(pod: string): readonly ObjectRef[]
  readonly statuses: readonly ObjectStatus[]
  /** What would be said of objects of its kind, were this route or policy in force in place of the one of its name. */
  judge(document: Loaded): readonly ObjectStatus[]
}

/** `documents` have passed loadDocuments() without a problem. */
export function compile(documents: readonly Loaded[], world: World): Model {
  return createCompiler(factsOf(documents, world)).model({ documents: () => documents, world: () => world })
}

/** What was compiled is kept until a fact that it was compiled from changes. */
export interface Compiler {
  readonly facts: Facts
  /** Of the facts as they are from now on. */
  model(whole: Whole): Model
}

/** All that the facts were taken from, for who wants to list it. */
export interface Whole {
  documents(): readonly Loaded[]
  world(): World
}

interface Parts {
  readonly facts: Facts
  readonly inventory: Inventory
  readonly policies: TrafficPolicies
  readonly routes: Routes
  readonly meshPolicies: MeshPolicies
  readonly topology: Topology
  ranges(): readonly string[]
  statuses(): readonly ObjectStatus[]
}

const REPORTED = ['HTTPRoute', 'TrafficPolicy', 'MeshPolicy']

export function createCompiler(facts: Facts): Compiler {
  const { documents } = facts
  const meshPolicies = compileMeshPolicies({ documents, facts }, remembered)
  const inventory = createInventory(facts, meshPolicies.of)
  const policies = compileTrafficPolicies(documents, remembered)
  const routes = compileRoutes({ documents, inventory, policies }, remembered)
  const topology = createTopology(inventory)
  const ranges = compileRanges(facts, remembered)
  const statuses = listed(
    () => [...REPORTED.flatMap((kind) => [...documents.by('kind', kind)]), ...facts.refused.by('all', '')],
    (name) => [
      ...[...routes.statusesOf(name), ...policies.statusesOf(name), ...meshPolicies.statusesOf(name)],
      ...(facts.refused.get(name) ?? []),
    ],
  )
  const parts = { facts, inventory, policies, routes, meshPolicies, topology, ranges, statuses }
  return { facts, model: (whole) => modelOf(parts, whole) }
}

function modelOf(parts: Parts, { documents, world }: Whole): Model {
  const { facts, inventory, meshPolicies, topology } = parts
  const endpointParts = { inventory, takesTls: (pod: Pod) => meshPolicies.of(pod.world).mtls !== 'Disabled' }
  return {
    origin: facts,
    get documents() {
      return documents()
    },
    get world() {
      return world()
    },
    get ranges() {
      return parts.ranges()
    },
    pod: (name) => inventory.pod(name)?.world ?? null,
    destination: (key, callerNamespace) => destinationOf(parts, key, callerNamespace),
    placeOf: (backend, pod) => topology.placeOf(serviceOfBackend(backend), pod),
    endpoints: (backend, family, place) => endpointsOf(endpointParts, backend, family, place),
    slicesOf: (service) => inventory.slicesOf(service) ?? [],
    workload: (name) => workloadOf(inventory, meshPolicies, name),
    workloadObjects: (name) => {
      const pod = inventory.pod(name)
      return pod === undefined ? [] : meshPolicies.of(pod.world).from
    },
    statuses: parts.statuses(),
    judge: (document) => judge(document, parts),
  }
}

/** What is wrong, a line each: "HTTPRoute shop/catalog on Service shop/catalog: BackendNotFound: ...". */
export function describeFaults(statuses: readonly ObjectStatus[]): readonly string[] {
  return statuses.flatMap(({ object, ancestor, conditions }) =>
    conditions
      .filter(({ status }) => !status)
      .map(
        ({ reason, message }) =>
          `${describeRef(object)}${ancestor === '' ? '' : ` on ${ancestor}`}: ${reason}: ${message}`,
      ),
  )
}
