// Nodes as the API server has them: the zone of each, for the hints of EndpointSlices, and its addresses, for NodePorts.
import type { KubeObject } from '#shared/kube/objects.ts'
import type { WorldNode } from '#shared/standalone/world.ts'

const ZONE = 'topology.kubernetes.io/zone'

interface NodeStatus {
  readonly addresses?: readonly { readonly type?: string; readonly address?: string }[]
}

export function readNode(object: KubeObject): WorldNode {
  const { addresses = [] } = (object['status'] ?? {}) as NodeStatus
  return {
    zone: object.metadata.labels?.[ZONE] ?? '',
    // What is called external is translated somewhere on the way: the node itself does not know it.
    addresses: addresses.flatMap(({ type, address }) => (type === 'InternalIP' && address ? [address] : [])),
  }
}
