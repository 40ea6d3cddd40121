// The rules of control as the chart has them, for tests that run it with those and no others.
import type { KubeClient } from '#shared/kube/client.ts'
import type { KubeKind } from '#shared/kube/objects.ts'
import { chartObjects } from './chart.ts'

export async function grantAsChart(client: KubeClient): Promise<void> {
  for (const object of chartObjects()) {
    if (object.apiVersion !== 'rbac.authorization.k8s.io/v1' || object.metadata.name !== 'weft-control') continue
    const kind = object.kind ?? ''
    const of: KubeKind = {
      group: 'rbac.authorization.k8s.io',
      version: 'v1',
      plural: `${kind.toLowerCase()}s`,
      kind,
      isNamespaced: !kind.startsWith('Cluster'),
    }
    await client.create(of, object)
  }
}
