// The owner of what Weft makes while it runs (shared/kube/installation.ts): an uninstallation takes all of that along.

import { INSTALLATION } from '#shared/kube/installation.ts'
import { CLUSTER_ROLES } from '#shared/kube/objects.ts'
import type { Maker, Rule } from '../parts.ts'
import type { TemplateFile } from '../template.ts'

export const installationFile = (make: Maker): TemplateFile => ({
  path: 'installation.yaml',
  documents: [
    make({
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: CLUSTER_ROLES.kind,
      name: INSTALLATION,
      component: 'installation',
      scope: 'cluster',
      annotations: {
        'kubernetes.io/description':
          'Grants nothing. It owns what Weft makes while it runs: delete it, and Kubernetes deletes the root certificate too.',
      },
      rest: { rules: [] },
    }),
  ],
})

/** To write it into what a process makes. */
export const findInstallation: Rule = {
  apiGroups: [CLUSTER_ROLES.group],
  resources: [CLUSTER_ROLES.plural],
  resourceNames: [INSTALLATION],
  verbs: ['get'],
}
