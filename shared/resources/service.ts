// v1 Service as Kubernetes has it. What Weft honours is here; the rest is refused by name, never silently dropped.
import { z } from 'zod'
import {
  fields,
  kind,
  labelName,
  labels,
  list,
  matching,
  metadata,
  noRepeats,
  oneOf,
  portName,
  portNumber,
  refuse,
  yesOrNo,
} from './fields.ts'

const servicePort = fields(
  {
    name: portName.optional(),
    port: portNumber,
    /** A number, or the name of a port of the workload; default: `port`. */
    targetPort: z
      .union([portNumber, portName], { error: 'a port number, or the name of a port of the workload' })
      .optional(),
    appProtocol: matching(
      /^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/,
      317,
      'a protocol such as http, tcp, grpc or kubernetes.io/ws',
    ).optional(),
    protocol: oneOf('TCP').default('TCP'),
  },
  ['nodePort'],
)

const AFFINITY_SECONDS = 'seconds, 1 to 86400 (a day)'

const spec = fields(
  {
    selector: labels.refine((map) => Object.keys(map).length > 0, {
      error: 'at least one label (a Service without selector is not supported yet)',
    }),
    ports: list(servicePort, 1, 100)
      .superRefine(noRepeats((port) => port.name, 'name'))
      .superRefine(noRepeats((port) => String(port.port), 'port'))
      .superRefine((ports, context) => {
        if (ports.length < 2) return
        for (const [index, port] of ports.entries()) {
          if (port.name === undefined) refuse(context, [index, 'name'], 'a name, as the Service has more than one port')
        }
      }),
    type: z.literal('ClusterIP', { error: 'ClusterIP (other types are not supported yet)' }).optional(),
    sessionAffinity: oneOf('None', 'ClientIP').optional(),
    /** Without it: three hours. */
    sessionAffinityConfig: fields({
      clientIP: fields({
        timeoutSeconds: z
          .int({ error: AFFINITY_SECONDS })
          .min(1, { error: AFFINITY_SECONDS })
          .max(86_400, { error: AFFINITY_SECONDS })
          .optional(),
      }).optional(),
    }).optional(),
    internalTrafficPolicy: z
      .literal('Cluster', { error: 'Cluster (Local is for a cluster: here every pod is on the same machine)' })
      .optional(),
    publishNotReadyAddresses: yesOrNo.default(false),
    // Every service of a mesh has an address of each family.
    ipFamilyPolicy: z
      .enum(['PreferDualStack', 'RequireDualStack'], {
        error: 'PreferDualStack or RequireDualStack (SingleStack is not supported yet)',
      })
      .optional(),
  },
  [
    'clusterIP',
    'clusterIPs',
    'externalIPs',
    'externalName',
    'externalTrafficPolicy',
    'healthCheckNodePort',
    'ipFamilies',
    'loadBalancerClass',
    'loadBalancerIP',
    'loadBalancerSourceRanges',
    'allocateLoadBalancerNodePorts',
    'trafficDistribution',
  ],
).superRefine(({ sessionAffinity, sessionAffinityConfig }, context) => {
  if (sessionAffinityConfig === undefined || sessionAffinity === 'ClientIP') return
  refuse(
    context,
    ['sessionAffinityConfig'],
    'it only beside sessionAffinity: ClientIP',
    'it without an affinity to configure',
  )
})

export const serviceSchema = kind({ apiVersion: 'v1', kind: 'Service', metadata: metadata(labelName), spec })
export type ServiceResource = z.infer<typeof serviceSchema>
export type ServicePort = ServiceResource['spec']['ports'][number]
