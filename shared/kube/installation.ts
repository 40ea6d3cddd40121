// Who owns what Weft makes while it runs: a ClusterRole of the chart, so that Kubernetes removes all of that when Weft is
// uninstalled. It grants nothing; it is one because an owner that lies in a namespace owns nothing elsewhere.
import type { KubeClient } from './client.ts'
import { isForbidden, isNotFound } from './error.ts'
import { apiVersionOf, CLUSTER_ROLES } from './objects.ts'

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
}

/** The owners to write into an object that is made now; none where Weft was installed without its chart. */
export type Owners = () => Promise<readonly OwnerReference[]>

/** Of the ClusterRole. */
export const INSTALLATION = 'weft-installation'

/** Asks each time, since an installation that was made anew is another owner. */
export function createOwners(client: Pick<KubeClient, 'get'>): Owners {
  let wasThere = false
  return async () => {
    try {
      const { metadata } = await client.get(CLUSTER_ROLES, { name: INSTALLATION })
      wasThere = true
      const { kind } = CLUSTER_ROLES
      return [{ apiVersion: apiVersionOf(CLUSTER_ROLES), kind, name: INSTALLATION, uid: metadata.uid ?? '' }]
    } catch (error) {
      // Forbidden: roles that are older than this program.
      if (!isNotFound(error) && !isForbidden(error)) throw error
      // Weft is being uninstalled: what would be made now would stay for good.
      if (wasThere)
        throw new Error(`ClusterRole ${INSTALLATION} is gone, so nothing is made any more`, { cause: error })
      return []
    }
  }
}
