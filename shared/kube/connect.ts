// Where the API server is, by the settings of a component.
import { text } from '#shared/settings.ts'
import { inCluster, type KubeConnection, readKubeconfig } from './config.ts'

/** Rows that whoever asks the API server has in common. */
export const API_SERVER_SETTINGS = {
  apiHost: text('KUBERNETES_SERVICE_HOST', '', 'Where the API server is; the kubelet sets it.'),
  apiPort: text('KUBERNETES_SERVICE_PORT', '443', 'Its port; the kubelet sets it.'),
}

export interface ApiServerConfig {
  readonly kubeconfig: string
  readonly apiHost: string
  readonly apiPort: string
}

/** A kubeconfig where there is one, else the service account of the pod. `variable` names the first for who has set neither. */
export async function connectionOf(config: ApiServerConfig, variable: string): Promise<KubeConnection> {
  const { kubeconfig, apiHost, apiPort } = config
  if (kubeconfig !== '') return readKubeconfig(kubeconfig)
  if (apiHost !== '') return inCluster(apiHost, apiPort)
  throw new Error(`neither ${variable} nor KUBERNETES_SERVICE_HOST says where the API server is`)
}
