// The webhook of control that checks routes and policies before they are stored. Its absence refuses nothing (Ignore): what it would
// have said stands in the conditions of the object a moment later.
import { type Maker, setting } from '../parts.ts'
import { type Node, namespace, type TemplateDocument, when } from '../template.ts'
import { bySelf, injectAuthority, secretSetting } from './certificates.ts'

const NAME = 'weft-control'

/** To put the authority of its certificate into it. */
export const validationRule = when(bySelf, {
  apiGroups: ['admissionregistration.k8s.io'],
  resources: ['validatingwebhookconfigurations'],
  resourceNames: [NAME],
  verbs: ['get', 'update'],
})

export const validationSettings = (port: number): readonly Node[] => [
  setting('WEFT_VALIDATE', 'true'),
  setting('WEFT_WEBHOOK_PORT', String(port)),
  secretSetting('control'),
  setting('WEFT_WEBHOOK_CONFIGURATION', NAME),
  setting('WEFT_CONTROL_SERVICE', NAME),
]

export function validationConfiguration(make: Maker): TemplateDocument {
  return make({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingWebhookConfiguration',
    name: NAME,
    component: 'control',
    scope: 'cluster',
    annotations: injectAuthority('control'),
    rest: {
      webhooks: [
        webhook('routes.validate.weft.dev', 'gateway.networking.k8s.io', 'v1', ['httproutes']),
        webhook('policies.validate.weft.dev', 'weft.dev', 'v1alpha1', ['trafficpolicies', 'meshpolicies']),
      ],
    },
  })
}

function webhook(name: string, group: string, version: string, resources: readonly string[]): Node {
  // A namespace cannot give itself this label with another's name.
  const notOurs = {
    key: 'kubernetes.io/metadata.name',
    operator: 'NotIn',
    values: ['kube-system', 'kube-public', 'kube-node-lease', namespace],
  }
  const operations = ['CREATE', 'UPDATE']
  return {
    name,
    namespaceSelector: { matchExpressions: [notOurs] },
    rules: [{ apiGroups: [group], apiVersions: [version], operations, resources, scope: 'Namespaced' }],
    // Its caBundle is control's to fill in.
    clientConfig: { service: { name: NAME, namespace, path: '/validate', port: 443 } },
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    matchPolicy: 'Equivalent',
    timeoutSeconds: 5,
    failurePolicy: 'Ignore',
  }
}
