// What a sidecar is told of its own pod.
import type { WorkloadConfig } from '#shared/decide/config.ts'
import { podEngine, podProtocol, podVersionAt, portsOf, serviceTargeting } from './destinations.ts'
import { type Inventory, ownName, type Pod } from './inventory.ts'
import type { MeshPolicies } from './mesh-policies.ts'

/** null: no such pod, or it has no sidecar. */
export function workloadOf(inventory: Inventory, meshPolicies: MeshPolicies, name: string): WorkloadConfig | null {
  const pod = inventory.pod(name)
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
