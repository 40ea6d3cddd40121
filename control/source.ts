// Where the configuration of the mesh comes from: files on one machine, or the API server of a cluster. All else is alike.

import { hostname } from 'node:os'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { connectionOf } from '#shared/kube/connect.ts'
import type { Problem } from '#shared/resources/problem.ts'
import type { Watch } from '#shared/watch.ts'
import { openCertificate } from '#shared/webhook/open-certificate.ts'
import { type ConfigStore, createConfigStore } from './apply.ts'
import type { ControlConfig } from './config.ts'
import type { ControlMetrics, Standing } from './metrics.ts'
import type { Model } from './model/compile.ts'
import { type Counted, createReplicas, type Replicas, type ReplicasStart } from './replicas/replicas.ts'
import type { ObjectStanding } from './serve/standings.ts'
import type { ControlParts } from './start.ts'
import { startStatusWriter } from './status-writer/writer.ts'
import { startValidation } from './validate/serve.ts'
import { watchFiles } from './watch/files.ts'
import { watchGatewayApi } from './watch/gateway-api.ts'
import { type KubernetesWatch, watchKubernetes } from './watch/kubernetes.ts'

export interface Source {
  readonly model: Watch<Model | undefined>
  readonly problems: Watch<readonly Problem[]>
  readonly store: ConfigStore
  /** Where there may be several replicas of control. */
  readonly replicas?: Replicas
  /** Of the API server and of the other replicas, where there are any. */
  standing(): Pick<Standing, 'kinds' | 'isLeader' | 'gatewayApi'>
  /** Begins to tell the objects themselves what became of them, where they can be told. */
  report(start: ReplicasStart): Reporting
  /** Begins to check objects before they are stored, where that is asked for; returns the way to end it, for any number of calls. */
  validate(): () => Promise<void>
  close(): Promise<void>
}

export interface Reporting {
  /** How far each object has come, and whose sidecars that is about. */
  known(): { readonly standings: readonly ObjectStanding[]; readonly counted: Counted }
  /** Writes no more; the sidecars that are still here are told to who writes now. */
  resign(): Promise<void>
  close(): Promise<void>
}

export interface SourceParts extends ControlParts {
  readonly metrics: ControlMetrics
}

export async function openSource(config: ControlConfig, parts: SourceParts): Promise<Source> {
  return config.source === 'files' ? openFiles(config, parts) : openKubernetes(config, parts)
}

function openFiles(config: ControlConfig, parts: SourceParts): Source {
  const { onCompiled } = parts.metrics
  const { model, problems, refresh, close } = watchFiles({ ...parts, ...config, onCompiled })
  const store = createConfigStore({ ...config, model, refresh })
  const nothing = async () => {}
  const report = ({ sidecars }: ReplicasStart): Reporting => ({
    known: () => ({ standings: sidecars.objects(), counted: { scope: 'mesh', missing: [] } }),
    resign: nothing,
    close: nothing,
  })
  const standing = () => ({ kinds: [], isLeader: undefined, gatewayApi: undefined })
  return { model, problems, store, standing, report, validate: () => nothing, close: async () => close() }
}

async function openKubernetes(config: ControlConfig, parts: SourceParts): Promise<Source> {
  const connection = await connectionOf(config, 'KUBECONFIG')
  const client: KubeClient = createKubeClient({ connection, clock: parts.clock, userAgent: 'weft-control' })
  const { trustDomain, systemNamespace, controlService } = config
  const { onCompiled, onWrite } = parts.metrics
  const watch = watchKubernetes({ ...parts, client, trustDomain, systemNamespace, controlService, onCompiled })
  const gatewayApi = watchGatewayApi({ ...parts, client })
  const replica = config.replica || hostname()
  const replicas = createReplicas({ ...parts, ...config, ...watch, client, replica })
  let leader: Watch<boolean> | undefined
  return {
    ...watch,
    store: clusterStore,
    replicas,
    standing: () => ({
      kinds: watch.kinds(),
      isLeader: leader?.current ?? false,
      gatewayApi: gatewayApi.found.current,
    }),
    report(start) {
      const running = replicas.start(start)
      leader = running.leader.isLeader
      const writer = startStatusWriter({ ...parts, ...watch, ...running, client, onWrite })
      return {
        known: () => running.known(),
        async resign() {
          await writer.close()
          await running.leader.resign()
        },
        close: () => running.close(),
      }
    },
    validate: () => (config.validate ? validate(config, parts, watch, client) : async () => {}),
    async close() {
      watch.close()
      gatewayApi.close()
      client.close()
    },
  }
}

function validate(config: ControlConfig, parts: SourceParts, { model }: KubernetesWatch, client: KubeClient) {
  const { controlService: service, systemNamespace: ownNamespace, webhookConfiguration } = config
  const certificate = { ...parts, config, client, service, validating: [webhookConfiguration] }
  const { onReview } = parts.metrics
  const openOne = () => openCertificate(certificate)
  return startValidation({ ...parts, ...config, model, ownNamespace, openCertificate: openOne, onReview }).close
}

/** Objects of a cluster are its API server's. */
const clusterStore: ConfigStore = {
  apply: async ({ path }) => ({
    problems: [
      {
        file: path,
        line: 0,
        column: 0,
        object: null,
        path: '',
        found: 'a mesh whose objects are in a cluster',
        want: `kubectl apply -f ${path}`,
      },
    ],
  }),
}
