// From documents and the state of the world to what each sidecar is told. Pure: the same input gives the same model.
import type { EndpointState, Family } from '#shared/contract/discovery.ts'
import type { DestinationConfig, ObjectRef, WorkloadConfig } from '#shared/decide/config.ts'
import { type Loaded, ofKind } from '#shared/resources/load.ts'
import type { Place, World } from '#shared/standalone/world.ts'
import { destinationOf, podEngine, podProtocol, podVersionAt, portsOf, serviceTargeting } from './destinations.ts'
import { endpointsOf, serviceOfBackend } from './endpoints.ts'
import { type Inventory, ownName, type Pod, takeInventory } from './inventory.ts'
import { compileMeshPolicies, type MeshPolicies } from './mesh-policies.ts'
import { compileRoutes } from './routes.ts'
import { describeRef, type ObjectStatus } from './status.ts'
import { createTopology } from './topology.ts'
import { compileTrafficPolicies } from './traffic.ts'

export interface Model {
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
  const meshPolicies = compileMeshPolicies(documents, world)
  const inventory = takeInventory(documents, world, meshPolicies.of)
  const targets = new Set(documents.map(({ name }) => name))
  const policies = compileTrafficPolicies(documents, (target) => targets.has(target))
  const routes = compileRoutes(ofKind(documents, 'HTTPRoute'), inventory, policies)
  const endpointParts = { inventory, takesTls: (pod: Pod) => meshPolicies.of(pod.world).mtls !== 'Disabled' }
  const topology = createTopology(inventory)
  const { podCIDRs, serviceCIDRs } = world.mesh
  return {
    documents,
    world,
    ranges: [...podCIDRs, ...serviceCIDRs],
    pod: (name) => inventory.pods.get(name)?.world ?? null,
    destination: (key, callerNamespace) => destinationOf({ inventory, routes, policies }, key, callerNamespace),
    placeOf: (backend, pod) => topology.placeOf(serviceOfBackend(backend), pod),
    endpoints: (backend, family, place) => endpointsOf(endpointParts, backend, family, place),
    workload: (name) => workloadOf(inventory, meshPolicies, name),
    workloadObjects: (name) => {
      const pod = inventory.pods.get(name)
      return pod === undefined ? [] : meshPolicies.of(pod.world).from
    },
    statuses: [...routes.statuses, ...policies.statuses, ...meshPolicies.statuses],
    judge: (document) => judge(document, documents, inventory),
  }
}

/** The functions that compile do it, over the same inventory: what a Service or pod is does not follow from routes and policies. */
function judge(document: Loaded, documents: readonly Loaded[], inventory: Inventory): readonly ObjectStatus[] {
  const { resource, name } = document
  const next = [...documents.filter((other) => other.name !== name), document]
  const targets = new Set(next.map((other) => other.name))
  const policies = compileTrafficPolicies(next, (target) => targets.has(target))
  if (resource.kind === 'TrafficPolicy') return policies.statuses
  if (resource.kind === 'MeshPolicy') return compileMeshPolicies(next, inventory.world).statuses
  return resource.kind === 'HTTPRoute' ? compileRoutes([resource], inventory, policies).statuses : []
}

function workloadOf(inventory: Inventory, meshPolicies: MeshPolicies, name: string): WorkloadConfig | null {
  const pod = inventory.pods.get(name)
  if (pod === undefined || !pod.world.isMeshed) return null
  const { namespace, serviceAccount, labels } = pod.world
  const { mtls, tracing, accessLog } = meshPolicies.of(pod.world)
  const ports = portsOf(inventory, pod).map((port) => ({
    port,
    protocol: podProtocol(inventory, pod, port),
    ...podVersionAt(inventory, pod, port),
    ...podEngine(pod, port),
    service: serviceNameAt(inventory, pod, port),
  }))
  return { name: ownName(pod), namespace, serviceAccount, labels, mtls, ports, tracing, accessLog }
}

/** "shop/catalog", or null. */
function serviceNameAt(inventory: Inventory, pod: Pod, port: number): string | null {
  const metadata = serviceTargeting(inventory, pod, port)?.service.metadata
  return metadata === undefined ? null : `${metadata.namespace}/${metadata.name}`
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
