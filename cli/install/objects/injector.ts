// The webhook that adds sidecars. It asks for pods that want one and for no others, so that its absence stops nobody else.
import { TOKEN_AUDIENCE, TRUST_BUNDLE } from '#shared/identity/kubernetes.ts'
import type { Maker, Rule } from '../parts.ts'
import {
  access,
  deployment,
  disruptionBudget,
  httpProbes,
  networkPolicy,
  service,
  serviceAccount,
  setting,
} from '../parts.ts'
import {
  from,
  joined,
  type Node,
  namespace,
  type TemplateDocument,
  type TemplateFile,
  text,
  value,
  type When,
  when,
} from '../template.ts'
import {
  bySelf,
  certificateMount,
  certificateVolume,
  injectAuthority,
  secretRules,
  secretSetting,
  under,
} from './certificates.ts'
import { certsAddress, controlAddress, trustDomain } from './identity.ts'
import { findInstallation } from './installation.ts'

const LABEL = 'weft.dev/inject'

const EVERYWHERE: readonly (Rule | When)[] = [
  findInstallation,
  // To put the authority of its certificate into them.
  when(bySelf, {
    apiGroups: ['admissionregistration.k8s.io'],
    resources: ['mutatingwebhookconfigurations'],
    resourceNames: ['weft-injector'],
    verbs: ['get', 'update'],
  }),
  // Whether a namespace wants sidecars, whatever the selectors of the webhook let through.
  { apiGroups: [''], resources: ['namespaces'], verbs: ['get'] },
  // To say why a pod got no sidecar.
  { apiGroups: [''], resources: ['events'], verbs: ['create'] },
]

const PORTS = { webhook: 15017, metrics: 15020 }

export function injectorFile(make: Maker, version: string): TemplateFile {
  return {
    path: 'injector.yaml',
    documents: [
      serviceAccount(make, 'injector'),
      ...access(make, 'injector', EVERYWHERE, []),
      ...under(bySelf, access(make, 'injector', [], secretRules('injector'))),
      service(make, 'injector', { webhook: [443, 'https'] }),
      networkPolicy(make, 'injector', Object.values(PORTS)),
      disruptionBudget(make, 'injector'),
      deployment(make, {
        process: 'injector',
        version,
        env: settings(),
        ports: PORTS,
        probes: httpProbes('metrics', '/live'),
        mounts: [certificateMount()],
        volumes: [certificateVolume('injector')],
      }),
      webhookConfiguration(make),
    ],
  }
}

const settings = (): readonly Node[] => [
  setting('WEFT_SYSTEM_NAMESPACE', namespace),
  setting('WEFT_VERSION', value('image.tag')),
  setting('WEFT_WEBHOOK_PORT', String(PORTS.webhook)),
  setting('WEFT_METRICS_PORT', String(PORTS.metrics)),
  secretSetting('injector'),
  setting('WEFT_WEBHOOK_CONFIGURATION', 'weft-injector'),
  setting('WEFT_SERVICE_NAME', 'weft-injector'),
  setting('WEFT_SIDECAR_IMAGE', text`${from('image.registry')}/weft-sidecar:${from('image.tag')}`),
  setting('WEFT_IMAGE_PULL_POLICY', value('image.pullPolicy')),
  trustDomain(),
  setting('WEFT_MESH_RANGES', joined('mesh.ranges', ',')),
  setting('WEFT_CONTROL_ADDRESS', controlAddress()),
  setting('WEFT_CERTS_ADDRESS', certsAddress()),
  setting('WEFT_TOKEN_AUDIENCE', TOKEN_AUDIENCE),
  setting('WEFT_BUNDLE_CONFIG_MAP', TRUST_BUNDLE.configMap),
]

/** Pods of a namespace that wants sidecars, save those that want none; and pods elsewhere that want one. */
function webhookConfiguration(make: Maker): TemplateDocument {
  // A namespace cannot give itself this label with another's name.
  const notOurs = {
    key: 'kubernetes.io/metadata.name',
    operator: 'NotIn',
    values: ['kube-system', 'kube-node-lease', namespace],
  }
  return make({
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'MutatingWebhookConfiguration',
    name: 'weft-injector',
    component: 'injector',
    scope: 'cluster',
    annotations: injectAuthority('injector'),
    rest: {
      webhooks: [
        webhook('namespace.inject.weft.dev', {
          namespaceSelector: { matchLabels: { [LABEL]: 'enabled' }, matchExpressions: [notOurs] },
          objectSelector: { matchExpressions: [{ key: LABEL, operator: 'NotIn', values: ['disabled'] }] },
        }),
        webhook('pod.inject.weft.dev', {
          namespaceSelector: { matchExpressions: [{ key: LABEL, operator: 'NotIn', values: ['enabled'] }, notOurs] },
          objectSelector: { matchLabels: { [LABEL]: 'enabled' } },
        }),
      ],
    },
  })
}

function webhook(name: string, selectors: { readonly [name: string]: Node }): Node {
  return {
    name,
    ...selectors,
    rules: [{ apiGroups: [''], apiVersions: ['v1'], operations: ['CREATE'], resources: ['pods'], scope: 'Namespaced' }],
    // Its caBundle is the injector's to fill in.
    clientConfig: { service: { name: 'weft-injector', namespace, path: '/mutate', port: 443 } },
    admissionReviewVersions: ['v1'],
    sideEffects: 'None',
    reinvocationPolicy: 'IfNeeded',
    matchPolicy: 'Equivalent',
    timeoutSeconds: 5,
    failurePolicy: value('injector.failurePolicy'),
  }
}
