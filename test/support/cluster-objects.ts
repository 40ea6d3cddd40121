// A small shop in a real API server: what people, the kubelet and the controllers of a cluster would have written there.
import type { KubeClient } from '#shared/kube/client.ts'
import { isConflict } from '#shared/kube/error.ts'
import { ENDPOINT_SLICES, type KubeObject, NAMESPACES, PODS, SERVICES } from '#shared/kube/objects.ts'

export async function createNamespace(client: KubeClient, name: string): Promise<void> {
  await client.create(NAMESPACES, { metadata: { name } }).catch((error: unknown) => {
    if (!isConflict(error)) throw error
  })
}

export function createService(
  client: KubeClient,
  namespace: string,
  name: string,
  spec: object = {},
): Promise<KubeObject> {
  const ports = [{ name: 'http', port: 80, targetPort: 'web' }]
  return client.create(SERVICES, { metadata: { namespace, name }, spec: { selector: { app: name }, ports, ...spec } })
}

export interface ReadyPod {
  readonly app: string
  readonly address: string
  readonly serviceAccount?: string
  readonly node?: string
}

/** With a sidecar, running and ready, as a kubelet would say. */
export async function createReadyPod(
  client: KubeClient,
  namespace: string,
  name: string,
  pod: ReadyPod,
): Promise<void> {
  const image = 'mesh.local/none:1'
  await client.create(PODS, {
    metadata: { namespace, name, labels: { app: pod.app } },
    spec: {
      // A pod that has a node is deleted when that node's kubelet says that it has ended, which here is never.
      nodeName: pod.node ?? 'mesh-node',
      serviceAccountName: pod.serviceAccount ?? pod.app,
      automountServiceAccountToken: false,
      initContainers: [{ name: 'weft-proxy', image, restartPolicy: 'Always' }],
      containers: [{ name: 'app', image, ports: [{ name: 'web', containerPort: 8080 }] }],
    },
  })
  const status = {
    phase: 'Running',
    podIP: pod.address,
    podIPs: [{ ip: pod.address }],
    conditions: [{ type: 'Ready', status: 'True' }],
  }
  await client.patch(PODS, { namespace, name }, { status }, { subresource: 'status' })
}

/** As the controller of EndpointSlices would write it; `addresses` by pod. */
export async function putSlice(
  client: KubeClient,
  namespace: string,
  service: string,
  addresses: Readonly<Record<string, string>>,
): Promise<void> {
  const endpoints = Object.entries(addresses).map(([name, address]) => ({
    addresses: [address],
    conditions: { ready: true, serving: true, terminating: false },
    targetRef: { kind: 'Pod', namespace, name },
  }))
  await client.apply(
    ENDPOINT_SLICES,
    {
      metadata: { namespace, name: `${service}-x`, labels: { 'kubernetes.io/service-name': service } },
      addressType: 'IPv4',
      ports: [{ name: 'http', port: 8080, protocol: 'TCP' }],
      endpoints,
    },
    { fieldManager: 'test' },
  )
}
