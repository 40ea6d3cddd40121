// The certificate authority: its root in a Secret, the trust bundle in a ConfigMap of each namespace of the mesh.
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
import { from, namespace, not, type TemplateFile, text, value, type When, when } from '../template.ts'
import { rootGiven, rootMount, rootVolume } from './certificates.ts'
import { trustDomain } from './identity.ts'
import { findInstallation } from './installation.ts'

const EVERYWHERE: readonly Rule[] = [
  findInstallation,
  { apiGroups: ['authentication.k8s.io'], resources: ['tokenreviews'], verbs: ['create'] },
  // A token holds for the addresses of its pod; a namespace keeps its bundle while pods mount it.
  { apiGroups: [''], resources: ['pods'], verbs: ['get', 'list'] },
  { apiGroups: [''], resources: ['namespaces'], verbs: ['list', 'watch'] },
  // A name cannot narrow the making of an object.
  { apiGroups: [''], resources: ['configmaps'], verbs: ['create'] },
  {
    apiGroups: [''],
    resources: ['configmaps'],
    resourceNames: [TRUST_BUNDLE.configMap],
    verbs: ['get', 'patch', 'delete'],
  },
]
const OWN: readonly (Rule | When)[] = [
  when(not(rootGiven), { apiGroups: [''], resources: ['secrets'], verbs: ['create'] }),
  // Never update: a root is replaced by people.
  { apiGroups: [''], resources: ['secrets'], resourceNames: [value('certs.rootSecret')], verbs: ['get'] },
]

const PORTS = { signing: 15012, metrics: 15020 }

export function certsFile(make: Maker, version: string): TemplateFile {
  return {
    path: 'certs.yaml',
    documents: [
      serviceAccount(make, 'certs'),
      ...access(make, 'certs', EVERYWHERE, OWN),
      service(make, 'certs', { signing: [PORTS.signing, 'kubernetes.io/h2c'] }),
      networkPolicy(make, 'certs', Object.values(PORTS)),
      disruptionBudget(make, 'certs'),
      deployment(make, {
        process: 'certs',
        version,
        env: [
          setting('WEFT_ATTEST', 'kubernetes'),
          setting('WEFT_SYSTEM_NAMESPACE', namespace),
          trustDomain(),
          setting('WEFT_LISTEN', `[::]:${PORTS.signing}`),
          setting('WEFT_METRICS_LISTEN', `[::]:${PORTS.metrics}`),
          setting('WEFT_SVID_LIFETIME', value('certs.certificateLifetime')),
          setting('WEFT_ROOT_SECRET', value('certs.rootSecret')),
          when(rootGiven, setting('WEFT_ROOT_FROM', 'given')),
          setting('WEFT_KEEP_ROOT', text`${from('certs.keepRoot')}`),
          setting('WEFT_TOKEN_AUDIENCE', TOKEN_AUDIENCE),
        ],
        ports: PORTS,
        probes: httpProbes('metrics', '/live'),
        mounts: [rootMount()],
        volumes: [rootVolume()],
      }),
    ],
  }
}
