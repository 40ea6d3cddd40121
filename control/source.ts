// Where the configuration of the mesh comes from: files on one machine, or the API server of a cluster. All else is alike.

import { hostname } from 'node:os'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { inCluster, type KubeConnection, readKubeconfig } from '#shared/kube/config.ts'
import type { Problem } from '#shared/resources/problem.ts'
import type { Watch } from '#shared/watch.ts'
import { type ConfigStore, createConfigStore } from './apply.ts'
import type { ControlConfig } from './config.ts'
import type { Model } from './model/compile.ts'
import type { Sidecars } from './serve/sidecars.ts'
import type { ControlParts } from './start.ts'
import { startStatusWriter } from './status-writer/writer.ts'
import { watchFiles } from './watch/files.ts'
import { watchKubernetes } from './watch/kubernetes.ts'

export interface Source {
  readonly model: Watch<Model | undefined>
  readonly problems: Watch<readonly Problem[]>
  readonly store: ConfigStore
  /** Begins to tell the objects themselves what became of them, where they can be told. */
  report(sidecars: Sidecars): void
  close(): Promise<void>
}

export async function openSource(config: ControlConfig, parts: ControlParts): Promise<Source> {
  return config.source === 'files' ? openFiles(config, parts) : openKubernetes(config, parts)
}

function openFiles(config: ControlConfig, parts: ControlParts): Source {
  const { model, problems, refresh, close } = watchFiles({ ...parts, ...config })
  const store = createConfigStore({ ...config, model, refresh })
  return { model, problems, store, report: () => {}, close: async () => close() }
}

async function openKubernetes(config: ControlConfig, parts: ControlParts): Promise<Source> {
  const connection = await connectionOf(config)
  const client: KubeClient = createKubeClient({ connection, clock: parts.clock, userAgent: 'weft-control' })
  const { trustDomain, systemNamespace, controlService } = config
  const watch = watchKubernetes({ ...parts, client, trustDomain, systemNamespace, controlService })
  let stopWriting = async () => {}
  return {
    ...watch,
    store: clusterStore,
    report(sidecars) {
      const replica = config.replica || hostname()
      stopWriting = startStatusWriter({
        ...parts,
        ...watch,
        client,
        sidecars,
        namespace: systemNamespace,
        replica,
      }).close
    },
    async close() {
      await stopWriting()
      watch.close()
      client.close()
    },
  }
}

async function connectionOf({ kubeconfig, apiHost, apiPort }: ControlConfig): Promise<KubeConnection> {
  if (kubeconfig !== '') return readKubeconfig(kubeconfig)
  if (apiHost !== '') return inCluster(apiHost, apiPort)
  throw new Error('WEFT_SOURCE=kubernetes: neither KUBECONFIG nor KUBERNETES_SERVICE_HOST says where the API server is')
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
