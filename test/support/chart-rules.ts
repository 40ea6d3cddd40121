// The rules of control as the chart has them, for tests that run it with those and no others.
import { parseAllDocuments } from 'yaml'
import type { KubeClient } from '#shared/kube/client.ts'
import type { KubeKind, KubeObject } from '#shared/kube/objects.ts'
import { WEFT_NAMESPACE, weftFiles } from '../../cli/install/charts.ts'
import { renderChart } from '../../cli/install/render.ts'
import { defaultValues } from '../../cli/install/values-file.ts'

export async function grantAsChart(client: KubeClient): Promise<void> {
  const release = { name: 'weft', namespace: WEFT_NAMESPACE }
  const text = renderChart('weft', weftFiles(), release, defaultValues())
  const documents = parseAllDocuments(text).map((document) => document.toJS() as KubeObject | null)
  for (const document of documents) {
    if (document?.apiVersion !== 'rbac.authorization.k8s.io/v1' || document.metadata.name !== 'weft-control') continue
    const kind = document.kind ?? ''
    const of: KubeKind = {
      group: 'rbac.authorization.k8s.io',
      version: 'v1',
      plural: `${kind.toLowerCase()}s`,
      kind,
      isNamespaced: !kind.startsWith('Cluster'),
    }
    await client.create(of, document)
  }
}
