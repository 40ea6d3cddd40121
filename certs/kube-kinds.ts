// The kinds that certs alone touches.
import type { KubeKind } from '#shared/kube/objects.ts'

const core = (plural: string, kind: string, isNamespaced: boolean): KubeKind => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  isNamespaced,
})

export const SECRETS = core('secrets', 'Secret', true)
export const CONFIG_MAPS = core('configmaps', 'ConfigMap', true)
export const NAMESPACES = core('namespaces', 'Namespace', false)
