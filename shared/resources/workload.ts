// Workload: what a Deployment's pod template says, for one machine without Kubernetes.
import { z } from 'zod'
import { readAnnotations } from '#shared/pod/annotations.ts'
import {
  duration,
  fields,
  kind,
  labelName,
  list,
  matching,
  metadata,
  noRepeats,
  portName,
  portNumber,
  refuse,
  text,
  textMap,
  wholeNumber,
  yesOrNo,
} from './fields.ts'

/** The sidecar's own user: iptables leaves its traffic alone, so an application as this user would bypass the mesh. */
const SIDECAR_UID = 1337

const user = wholeNumber(0, 2_147_483_647).refine((id) => id !== SIDECAR_UID, {
  error: `another id than ${SIDECAR_UID}, which is the sidecar's`,
})

const probe = fields(
  {
    httpGet: fields(
      {
        path: text(1024, 'a path such as /ready').startsWith('/', { error: 'a path that begins with "/"' }),
        port: portNumber,
      },
      ['scheme', 'host', 'httpHeaders'],
    ).optional(),
    tcpSocket: fields({ port: portNumber }, ['host']).optional(),
    periodSeconds: wholeNumber(1, 3600).default(10),
    failureThreshold: wholeNumber(1, 1000).default(3),
  },
  ['exec', 'grpc', 'initialDelaySeconds', 'successThreshold', 'timeoutSeconds', 'terminationGracePeriodSeconds'],
).superRefine((given, context) => {
  if ((given.httpGet === undefined) === (given.tcpSocket === undefined)) {
    refuse(
      context,
      [],
      'exactly one of httpGet and tcpSocket',
      given.httpGet === undefined ? 'neither httpGet nor tcpSocket' : 'both httpGet and tcpSocket',
    )
  }
})

const environmentName = matching(/^[A-Za-z_][-._A-Za-z0-9]*$/, 256, 'a name such as LOG_LEVEL')

const spec = fields({
  serviceAccount: labelName.default('default'),
  replicas: wholeNumber(0, 250).default(1),
  /** A list: no shell comes between. */
  command: list(text(32_768), 1, 256, '[python3, server.py]'),
  env: textMap(
    environmentName,
    z.string({ error: 'text' }).refine((value) => !value.includes('\0'), { error: 'text without NUL' }),
  ).default({}),
  ports: list(
    fields({ name: portName.optional(), containerPort: portNumber, appProtocol: text(317).optional() }, [
      'protocol',
      'hostPort',
      'hostIP',
    ]),
    0,
    100,
  )
    .superRefine(noRepeats((port) => port.name, 'name'))
    .superRefine(noRepeats((port) => String(port.containerPort), 'containerPort'))
    .default([]),
  readinessProbe: probe.optional(),
  livenessProbe: probe.optional(),
  securityContext: fields({ runAsUser: user.optional(), runAsGroup: user.optional() }, [
    'runAsNonRoot',
    'fsGroup',
    'capabilities',
  ]).optional(),
  workingDir: text(4096).optional(),
  /** False: runs without a sidecar. */
  inject: yesOrNo.default(true),
  terminationGracePeriod: duration.default('30s'),
})

const workloadMetadata = metadata(
  labelName.max(56, { error: 'a name of at most 56 characters (the names of its pods end in "-N")' }),
).superRefine((given, context) => {
  for (const mistake of readAnnotations(given.annotations, 'workload').mistakes) {
    refuse(
      context,
      ['annotations', mistake.key],
      mistake.want,
      mistake.value === null ? 'an unknown annotation' : JSON.stringify(mistake.value),
    )
  }
})

export const workloadSchema = kind({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'Workload',
  metadata: workloadMetadata,
  spec,
})
export type WorkloadResource = z.infer<typeof workloadSchema>
export type Probe = z.infer<typeof probe>
