// What serving needs of the compiled model, and no more: tests hand in a few lines instead of a mesh.
import type { EndpointState, Family } from '#shared/contract/discovery.ts'
import type { DestinationConfig, ObjectRef, WorkloadConfig } from '#shared/decide/config.ts'
import type { Place } from '#shared/standalone/world.ts'

export interface PodView {
  readonly namespace: string
  readonly serviceAccount: string
}

/** A change of the configuration or of the world makes a new one. */
export interface ModelView {
  /** Equal for models that are kept current from one set of facts: what was computed from one of them holds until a fact that it read changes. */
  readonly origin?: object
  /** Ranges of pods and services: no address outside them is of the mesh. */
  readonly ranges: readonly string[]
  pod(name: string): PodView | null
  /** null: not of the mesh. `key` is the formatted address. What is seen follows from the caller's namespace. */
  destination(key: string, callerNamespace: string): DestinationConfig | null
  /** As much of where a pod is as the endpoints of a backend depend on: all callers for whom it is equal get the same. */
  placeOf(backend: string, pod: string): Place
  endpoints(backend: string, family: Family, place: Place): readonly EndpointState[]
  workload(pod: string): WorkloadConfig | null
  /** Objects that act on a workload beyond those a configuration names itself (MeshPolicy). */
  workloadObjects(pod: string): readonly ObjectRef[]
}
