// Nodes as the API server has them: of each the zone, for the hints of EndpointSlices.
import type { KubeObject } from '#shared/kube/objects.ts'

const ZONE = 'topology.kubernetes.io/zone'

/** undefined: it is in none. */
export function readZone({ metadata: { labels = {} } }: KubeObject): string | undefined {
  return labels[ZONE] === '' ? undefined : labels[ZONE]
}
