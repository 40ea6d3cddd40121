// What the chart makes, for tests that put it into a real API server.
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from '#shared/kube/objects.ts'
import { WEFT_NAMESPACE, weftFiles } from '../../cli/install/charts.ts'
import { mergeValues } from '../../cli/install/merge.ts'
import { renderChart, type Values } from '../../cli/install/render.ts'
import { defaultValues } from '../../cli/install/values-file.ts'

export function chartObjects(values: Values = {}): readonly KubeObject[] {
  const release = { name: 'weft', namespace: WEFT_NAMESPACE }
  const text = renderChart('weft', weftFiles(), release, mergeValues(defaultValues(), values))
  return parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject | null)
    .filter((object) => object !== null)
}
