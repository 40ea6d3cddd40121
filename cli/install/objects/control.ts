// The control plane: discovery for sidecars, a receiver of spans, status of resources.
import type { Maker, Rule } from '../parts.ts'
import {
  access,
  deployment,
  disruptionBudget,
  networkPolicy,
  service,
  serviceAccount,
  setting,
  tcpProbes,
} from '../parts.ts'
import { type Node, namespace, type TemplateFile, type When, when } from '../template.ts'
import { bySelf, certificateMount, certificateVolume, secretRules } from './certificates.ts'
import { bundleVolume, discoverySettings, identityMounts, tokenVolume } from './identity.ts'
import { findInstallation } from './installation.ts'
import { validationConfiguration, validationRule, validationSettings } from './validation.ts'

const WATCH = ['list', 'watch']
/** The writer of status reads an object anew when somebody else has written meanwhile. */
const READ = ['get', ...WATCH]
const EVERYWHERE: readonly (Rule | When)[] = [
  findInstallation,
  { apiGroups: [''], resources: ['services', 'pods', 'nodes'], verbs: WATCH },
  { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: WATCH },
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes'], verbs: READ },
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['referencegrants'], verbs: WATCH },
  { apiGroups: ['gateway.networking.k8s.io'], resources: ['httproutes/status'], verbs: ['patch'] },
  // Its annotations say of which version it is.
  {
    apiGroups: ['apiextensions.k8s.io'],
    resources: ['customresourcedefinitions'],
    resourceNames: ['httproutes.gateway.networking.k8s.io'],
    verbs: ['get'],
  },
  { apiGroups: ['weft.dev'], resources: ['trafficpolicies', 'meshpolicies'], verbs: READ },
  { apiGroups: ['weft.dev'], resources: ['trafficpolicies/status', 'meshpolicies/status'], verbs: ['patch'] },
  validationRule,
]
const OWN: readonly (Rule | When)[] = [
  // A name cannot narrow the making of an object.
  { apiGroups: ['coordination.k8s.io'], resources: ['leases'], verbs: ['create'] },
  {
    apiGroups: ['coordination.k8s.io'],
    resources: ['leases'],
    resourceNames: ['weft-control-status'],
    verbs: ['get', 'update'],
  },
  ...secretRules('control').map((rule) => when(bySelf, rule as unknown as Node)),
]

const PORTS = { discovery: 15010, 'otlp-grpc': 4317, 'otlp-http': 4318, webhook: 15017, metrics: 15020 }

export function controlFile(make: Maker, version: string): TemplateFile {
  return {
    path: 'control.yaml',
    documents: [
      serviceAccount(make, 'control'),
      ...access(make, 'control', EVERYWHERE, OWN),
      service(make, 'control', {
        discovery: [PORTS.discovery, 'kubernetes.io/h2c'],
        'otlp-grpc': [PORTS['otlp-grpc'], 'kubernetes.io/h2c'],
        'otlp-http': [PORTS['otlp-http'], 'http'],
        webhook: [443, 'https'],
      }),
      networkPolicy(make, 'control', Object.values(PORTS)),
      disruptionBudget(make, 'control'),
      deployment(make, {
        process: 'control',
        version,
        env: [
          setting('WEFT_SOURCE', 'kubernetes'),
          setting('WEFT_SYSTEM_NAMESPACE', namespace),
          ...discoverySettings(),
          setting('WEFT_LISTEN', `[::]:${PORTS.discovery}`),
          setting('WEFT_OTLP_GRPC_LISTEN', `[::]:${PORTS['otlp-grpc']}`),
          setting('WEFT_OTLP_HTTP_LISTEN', `[::]:${PORTS['otlp-http']}`),
          setting('WEFT_METRICS_LISTEN', `[::]:${PORTS.metrics}`),
          setting('WEFT_STATE_DIR', '/run/weft'),
          setting('WEFT_SOCKET', '/run/weft/control.sock'),
          // Within the 30 s that the kubelet gives it.
          setting('WEFT_DRAIN_TIMEOUT', '10s'),
          ...validationSettings(PORTS.webhook),
        ],
        ports: PORTS,
        // It listens there last, when it has an identity.
        probes: tcpProbes('discovery'),
        mounts: [...identityMounts(), certificateMount()],
        // Sidecars must not wait for cert-manager.
        volumes: [tokenVolume(), bundleVolume(), certificateVolume('control', { optional: true })],
      }),
      validationConfiguration(make),
    ],
  }
}
