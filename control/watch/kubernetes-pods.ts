// Pods as the API server has them, cut down to what is compiled.
import type { KubeObject } from '#shared/kube/objects.ts'
import { workloadOf } from '#shared/pod/kubernetes-pod.ts'
import { PROXY_CONTAINER } from '#shared/pod/names.ts'
import type { WorldPod } from '#shared/standalone/world.ts'

interface Container {
  readonly name?: string
  readonly ports?: readonly { readonly name?: string; readonly containerPort: number; readonly protocol?: string }[]
}

interface PodSpec {
  readonly nodeName?: string
  readonly serviceAccountName?: string
  readonly hostNetwork?: boolean
  readonly containers?: readonly Container[]
  readonly initContainers?: readonly (Container & { readonly restartPolicy?: string })[]
}

interface PodStatus {
  readonly phase?: string
  readonly podIP?: string
  readonly podIPs?: readonly { readonly ip?: string }[]
  readonly conditions?: readonly { readonly type?: string; readonly status?: string }[]
}

/** undefined: it has ended, so that its address may be another's already. */
export function readPod(object: KubeObject): WorldPod | undefined {
  const spec = (object['spec'] ?? {}) as PodSpec
  const status = (object['status'] ?? {}) as PodStatus
  if (status.phase === 'Succeeded' || status.phase === 'Failed') return undefined
  const { namespace = '', name = '', labels, annotations, deletionTimestamp } = object.metadata
  const isOnNode = spec.hostNetwork === true
  return {
    name: `${namespace}/${name}`,
    namespace,
    workload: ownerOf(object) ?? name,
    serviceAccount: spec.serviceAccountName ?? 'default',
    labels: labels ?? {},
    // The node's address is that of many pods, and of what is no pod at all.
    addresses: isOnNode ? [] : addressesOf(status),
    ready: status.conditions?.some(({ type, status: is }) => type === 'Ready' && is === 'True') === true,
    terminating: deletionTimestamp !== undefined,
    isMeshed: !isOnNode && hasSidecar(spec),
    ...(spec.nodeName && { node: spec.nodeName }),
    ports: portsOf(spec),
    annotations: own(annotations),
  }
}

function ownerOf({ metadata: { labels = {}, ownerReferences = [] } }: KubeObject): string | undefined {
  return workloadOf({ metadata: { labels, ownerReferences: [...ownerReferences] }, spec: { containers: [] } })
}

/** By the container alone: an annotation can be copied to a pod that has no sidecar, and callers would find nobody to talk to. */
function hasSidecar({ containers = [], initContainers = [] }: PodSpec): boolean {
  return [...containers, ...initContainers].some(({ name }) => name === PROXY_CONTAINER)
}

function addressesOf({ podIP, podIPs }: PodStatus): readonly string[] {
  const all = podIPs?.map(({ ip }) => ip) ?? [podIP]
  return all.filter((address) => address !== undefined).filter((address) => address !== '')
}

/** Ports of the application: the sidecar's own are not for callers, and an init container that ends serves nobody. */
function portsOf({ containers = [], initContainers = [] }: PodSpec) {
  const lasting = initContainers.filter(({ restartPolicy }) => restartPolicy === 'Always')
  return [...containers, ...lasting]
    .filter(({ name }) => name !== PROXY_CONTAINER)
    .flatMap(({ ports = [] }) => ports)
    .filter(({ protocol = 'TCP' }) => protocol === 'TCP')
    .map(({ name, containerPort }) => ({ containerPort, ...(name !== undefined && { name }) }))
}

function own(annotations: Readonly<Record<string, string>> | undefined): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => key.startsWith('config.weft.dev/')))
}
