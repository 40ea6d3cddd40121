// The configuration of a mesh on Kubernetes, kept current by informers. Nothing is compiled before every one of them has its first
// list: half a cluster would look like one whose other half is gone.
import type { Clock } from '#shared/clock.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { createInformer, hasSynced, type Informer } from '#shared/kube/informer.ts'
import {
  ENDPOINT_SLICES,
  HTTP_ROUTES,
  type KubeKind,
  MESH_POLICIES,
  NODES,
  PODS,
  REFERENCE_GRANTS,
  SERVICES,
  TRAFFIC_POLICIES,
} from '#shared/kube/objects.ts'
import type { Project } from '#shared/kube/store.ts'
import type { Log } from '#shared/log.ts'
import type { Problem } from '#shared/resources/problem.ts'
import type { Watch } from '#shared/watch.ts'
import type { KindStanding } from '../metrics.ts'
import type { Model } from '../model/compile.ts'
import { type KubeDocument, readGrant, readPolicy, readRoute } from './kubernetes-documents.ts'
import { KubernetesKeeper } from './kubernetes-keeper.ts'
import { readNode } from './kubernetes-nodes.ts'
import { readPod } from './kubernetes-pods.ts'
import { readService, readSlice } from './kubernetes-services.ts'
import type { KubeObjects, MeshFacts } from './kubernetes-world.ts'
import type { CompileTiming } from './timed-compile.ts'

export interface WatchKubernetesOptions extends MeshFacts, CompileTiming {
  readonly client: Pick<KubeClient, 'list' | 'watch'>
  readonly random: () => number
  readonly log: Log
}

export interface KubernetesWatch {
  /** undefined until every kind has been listed. */
  readonly model: Watch<Model | undefined>
  /** What is wrong with objects that are not in force; they hold back no others. */
  readonly problems: Watch<readonly Problem[]>
  /** Of the model: routes and policies as they were read, refused ones too. */
  readonly documents: Watch<readonly KubeDocument[]>
  /** How far each kind is known. */
  kinds(): readonly KindStanding[]
  /** Kinds that cannot be read at the moment, a line each. */
  failures(): readonly string[]
  close(): void
}

/** At most one compilation in this time: a rolling update is a hundred changes. */
const QUIET_MS = 100
/** What belongs together comes in several objects a few milliseconds apart. */
const GATHER_MS = 10

export function watchKubernetes(options: WatchKubernetesOptions): KubernetesWatch {
  const informers = startInformers(options)
  const all = Object.values(informers)
  const keeper = new KubernetesKeeper(options)
  const schedule = coalesce(options.clock, () => {
    if (all.every(hasSynced)) keeper.take(objectsOf(informers))
  })
  const stops = all.flatMap(({ objects, state }) => [objects.subscribe(schedule.run), state.subscribe(schedule.run)])
  return {
    model: keeper.model,
    problems: keeper.problems,
    documents: keeper.documents,
    kinds: () => all.map(standingOf),
    failures: () => all.flatMap(({ failure }) => failure.current ?? []),
    close() {
      for (const stop of stops) stop()
      schedule.cancel()
      for (const informer of all) informer.close()
    },
  }
}

function standingOf({ kind, objects, state, failure }: Informer<unknown>): KindStanding {
  const isSynced = state.current !== 'starting' && failure.current === null
  return { kind: kind.plural, isSynced, objects: objects.current.size }
}

function startInformers(options: WatchKubernetesOptions) {
  const start = <T>(kind: KubeKind, project: Project<T>): Informer<T> => createInformer({ ...options, kind, project })
  return {
    services: start(SERVICES, readService),
    slices: start(ENDPOINT_SLICES, readSlice),
    pods: start(PODS, readPod),
    nodes: start(NODES, readNode),
    grants: start(REFERENCE_GRANTS, readGrant),
    routes: start(HTTP_ROUTES, readRoute),
    trafficPolicies: start(TRAFFIC_POLICIES, readPolicy('TrafficPolicy')),
    meshPolicies: start(MESH_POLICIES, readPolicy('MeshPolicy')),
  }
}

function objectsOf(informers: ReturnType<typeof startInformers>): KubeObjects {
  const { services, slices, pods, nodes, grants, routes, trafficPolicies, meshPolicies } = informers
  return {
    services: services.objects.current,
    slices: slices.objects.current,
    pods: pods.objects.current,
    nodes: nodes.objects.current,
    grants: grants.objects.current,
    documents: [routes, trafficPolicies, meshPolicies].map(({ objects }) => objects.current),
  }
}

/** Runs soon after the first call and then not before QUIET_MS have passed, whatever comes meanwhile. */
export function coalesce(clock: Clock, work: () => void): { run(): void; cancel(): void } {
  let isDue = false
  let earliest = 0
  let cancel = () => {}
  return {
    run() {
      if (isDue) return
      isDue = true
      cancel = clock.after(Math.max(GATHER_MS, earliest - clock.now()), () => {
        isDue = false
        work()
        earliest = clock.now() + QUIET_MS
      })
    },
    cancel: () => cancel(),
  }
}
