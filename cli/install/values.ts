// The values of the chart `weft`: type, default, limits and words of each. values.yaml and values.schema.json are made of this.

import { z } from 'zod'
import {
  duration,
  fields,
  list,
  matching,
  oneOf,
  subdomainName,
  text,
  wholeNumber,
  yesOrNo,
} from '#shared/resources/fields.ts'
import { meshPolicySchema } from '#shared/resources/mesh-policy.ts'

const A_QUANTITY = 'a quantity of Kubernetes, such as 50m or 128Mi'
const quantity = z.union(
  [matching(/^[0-9]+(\.[0-9]+)?(m|k|Ki|M|Mi|G|Gi)?$/, 32, A_QUANTITY), wholeNumber(0, 1_000_000)],
  {
    error: A_QUANTITY,
  },
)
const amounts = fields({ cpu: quantity.optional(), memory: quantity.optional() })
const resources = (cpu: string, memory: string, limit: string) =>
  fields({
    requests: amounts.default({ cpu, memory }),
    limits: amounts.default({ memory: limit }),
  })
    .prefault({})
    .describe('What each of its containers asks for, and its limits.')

const replicas = wholeNumber(1, 20).default(1).describe('How many pods.')
const cidr = matching(/^[0-9A-Fa-f.:]+\/[0-9]{1,3}$/, 64, 'a range of addresses such as 10.244.0.0/16')

const image = fields({
  registry: z
    .string()
    .min(1)
    .max(255)
    .default('ghcr.io/weft-mesh')
    .describe('What comes before weft-control and weft-sidecar in the names of the images.'),
  tag: matching(/^[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}$/, 128, 'the tag of an image, such as 0.1.0')
    .default('0.1.0')
    .describe('The tag of both images; the version of the chart by default.'),
  pullPolicy: oneOf('Always', 'IfNotPresent', 'Never').default('IfNotPresent').describe('When nodes pull the images.'),
  pullSecrets: z
    .array(fields({ name: text(253) }))
    .max(16)
    .default([])
    .describe('Secrets for the registry, in the namespace of Weft.'),
})
  .prefault({})
  .describe('Where the images come from.')

const mesh = fields({
  trustDomain: subdomainName
    .default('weft.local')
    .describe(
      'Trust domain of the mesh: identities are spiffe://TRUSTDOMAIN/ns/NAMESPACE/sa/SERVICEACCOUNT. Change it only before the first workload.',
    ),
  clusterDomain: subdomainName.default('cluster.local').describe("Domain of the cluster's DNS names."),
  ranges: list(cidr, 0, 16)
    .default([])
    .describe(
      'CIDRs of pods and services. A connection there waits for control instead of going out in clear. Empty: only what control tells.',
    ),
  policy: meshPolicySchema.shape.spec
    .default({})
    .describe(
      'The spec of a MeshPolicy for the whole mesh, such as { mtls: { mode: Permissive } }. Empty: none is made.',
    ),
})
  .prefault({})
  .describe('The mesh as a whole.')

const control = fields({ replicas, resources: resources('50m', '128Mi', '512Mi') })
  .prefault({})
  .describe('The control plane: reads resources, tells sidecars.')

const certs = fields({
  replicas,
  resources: resources('20m', '96Mi', '256Mi'),
  certificateLifetime: duration.default('24h').describe('How long the certificate of a workload is good; 30s or more.'),
  rootSecret: subdomainName
    .default('weft-root')
    .describe(
      'The Secret (kubernetes.io/tls) with root certificate and key. Where it is not there it is made at the first start.',
    ),
  keepRoot: yesOrNo
    .default(false)
    .describe(
      'Whether a root that Weft has made outlives an uninstallation, so that a later one is the same mesh. Told when it is made.',
    ),
})
  .prefault({})
  .describe('The certificate authority.')

const issuerRef = (of: string) =>
  fields({
    name: text(253).optional(),
    kind: text(63).optional(),
    group: text(253).optional(),
  })
    .default({})
    .describe(`An issuer of cert-manager for ${of}; without a name: one that is made here.`)

const MADE_BY = 'Whether Weft makes and renews'
const certificates = fields({
  webhook: oneOf('self-signed', 'cert-manager')
    .default('self-signed')
    .describe(`${MADE_BY} the certificates of its webhooks itself, or cert-manager (v1) does.`),
  webhookIssuerRef: issuerRef('them'),
  root: oneOf('self-signed', 'cert-manager')
    .default('self-signed')
    .describe(
      `${MADE_BY} the root of the mesh at its first start (or finds it given), or cert-manager puts it into certs.rootSecret.`,
    ),
  rootIssuerRef: issuerRef('the root, which is an intermediate then'),
})
  .prefault({})
  .describe('Where certificates come from.')

const injector = fields({
  replicas,
  resources: resources('20m', '96Mi', '256Mi'),
  failurePolicy: oneOf('Fail', 'Ignore')
    .default('Fail')
    .describe('What becomes of a pod that asks for a sidecar while no injector answers: refused, or started without.'),
})
  .prefault({})
  .describe('The webhook that adds sidecars to pods.')

const toleration = fields({
  key: z.string().max(317).optional(),
  operator: oneOf('Exists', 'Equal').optional(),
  value: z.string().max(63).optional(),
  effect: oneOf('NoSchedule', 'PreferNoSchedule', 'NoExecute').optional(),
  tolerationSeconds: z.int().optional(),
})

const scheduling = fields({
  nodeSelector: z
    .record(z.string(), z.string())
    .default({ 'kubernetes.io/os': 'linux' })
    .describe('Nodes that may run the pods of Weft.'),
  tolerations: z.array(toleration).max(64).default([]).describe('Taints that the pods of Weft tolerate.'),
  priorityClassName: z
    .string()
    .max(253)
    .default('')
    .describe('Priority class of the pods of Weft; empty: the default.'),
})
  .prefault({})
  .describe('Where the pods of Weft run.')

const demo = fields({
  jaeger: fields({
    enabled: yesOrNo.default(false).describe('Whether to run Jaeger (in memory) beside the control plane.'),
    image: text(512).default('docker.io/jaegertracing/all-in-one:1.62.0').describe('Its image.'),
  })
    .prefault({})
    .describe('Jaeger, to look at traces. mesh.policy must send them there.'),
  shop: fields({
    enabled: yesOrNo.default(false).describe('Whether to install the example shop (image weft-demo).'),
    namespace: matching(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/, 63, 'the name of a namespace, such as shop')
      .default('shop')
      .describe('Its namespace, which is made, labelled for sidecars, and removed with Weft.'),
  })
    .prefault({})
    .describe('The example shop, with sidecars.'),
})
  .prefault({})
  .describe('What helps to try Weft and does not belong in production.')

export const valuesSchema = fields({
  image,
  mesh,
  logLevel: oneOf('trace', 'debug', 'info', 'warn', 'error')
    .default('info')
    .describe('Level of the logs of control, certs and injector.'),
  highAvailability: yesOrNo
    .default(false)
    .describe('Whether replicas are kept on different nodes, and one of each at least while nodes are drained.'),
  control,
  certs,
  injector,
  certificates,
  scheduling,
  networkPolicy: fields({
    enabled: yesOrNo.default(true).describe('Whether to let in only what each process serves.'),
  })
    .prefault({})
    .describe('NetworkPolicies for the pods of Weft.'),
  podMonitor: fields({
    enabled: yesOrNo
      .default(false)
      .describe(
        'Whether to make PodMonitors for all sidecars and for Weft itself (needs the CRDs of the Prometheus operator).',
      ),
    interval: duration.default('30s').describe('How often metrics are read.'),
  })
    .prefault({})
    .describe('Metrics for the Prometheus operator. Without it the annotations prometheus.io/* of the pods do.'),
  demo,
  // Helm hands it to a chart within another.
  global: z.record(z.string(), z.unknown()).optional(),
})

export type ChartValues = z.infer<typeof valuesSchema>

/** What differs from the defaults in each values-NAME.yaml. */
export const PRESETS: Readonly<
  Record<string, { readonly about: string; readonly values: z.input<typeof valuesSchema> }>
> = {
  minimal: {
    about: 'One small pod of each: for a laptop, or to try.',
    values: {
      control: { resources: { requests: { cpu: '10m', memory: '96Mi' }, limits: { memory: '256Mi' } } },
      certs: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } } },
      injector: { resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { memory: '192Mi' } } },
      networkPolicy: { enabled: false },
    },
  },
  ha: {
    about: 'For production: replicas on different nodes, of which one at least is left while nodes are drained.',
    values: {
      highAvailability: true,
      control: { replicas: 3, resources: { requests: { cpu: '200m', memory: '256Mi' }, limits: { memory: '1Gi' } } },
      certs: { replicas: 2, keepRoot: true },
      injector: { replicas: 2 },
      scheduling: { priorityClassName: 'system-cluster-critical' },
    },
  },
  demo: {
    about: 'To see what Weft does: the example shop, and a Jaeger that gets every trace.',
    values: {
      mesh: {
        policy: {
          tracing: { endpoint: 'http://weft-jaeger.weft-system:4317', samplingPercent: 100 },
          accessLog: { enabled: true },
        },
      },
      networkPolicy: { enabled: false },
      demo: { jaeger: { enabled: true }, shop: { enabled: true } },
    },
  },
}
