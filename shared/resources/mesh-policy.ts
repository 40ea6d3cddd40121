// MeshPolicy: mTLS mode, tracing, access log and engine of the mesh (in Weft's own namespace), of a namespace, or of the workloads that a
// selector picks.
import { z } from 'zod'
import {
  celRules,
  fields,
  kind,
  labels,
  list,
  metadata,
  oneOf,
  portNumber,
  refuse,
  subdomainName,
  yesOrNo,
} from './fields.ts'

/** Weft's own, where a MeshPolicy holds for every namespace: on one machine always, in a cluster unless a setting says another. */
export const MESH_NAMESPACE = 'weft-system'

const ENDPOINT = 'a URL such as http://10.77.0.1:4318'

/** No user, no fragment. */
const HTTP_URL = /^https?:\/\/[^\s/?#@]+([/?][^\s#]*)?$/

const tracing = fields({
  endpoint: z
    .string({ error: ENDPOINT })
    .max(1024, { error: ENDPOINT })
    .refine((value) => isHttpUrl(value), { error: ENDPOINT })
    .meta({ pattern: HTTP_URL.source })
    .optional()
    .describe('Where spans are sent (OTLP), such as http://jaeger.tracing:4317. Default: the receiver in control.'),
  protocol: oneOf('grpc', 'http')
    .optional()
    .describe('How spans are sent: OTLP over gRPC or HTTP. Default: http where the port is 4318, else grpc.'),
  samplingPercent: z
    .number({ error: 'a number, 0 to 100' })
    .min(0, { error: 'a number, 0 to 100' })
    .max(100, { error: 'a number, 0 to 100' })
    .optional()
    .describe('Share of the traces that begin here; a decision that a caller has made is kept. Default: 5.'),
  propagators: list(oneOf('tracecontext', 'baggage', 'b3', 'b3multi'), 1, 4)
    .optional()
    .describe('Headers that carry a trace from one service to the next. Default: tracecontext, baggage.'),
})

function isHttpUrl(value: string): boolean {
  return HTTP_URL.test(value) && URL.canParse(value)
}

const NOT_BELOW = 'a port that is not below port'

/** As in a NetworkPolicy of Kubernetes. */
const portSpan = fields({
  port: portNumber.describe('The port, or the first one of a range.'),
  endPort: portNumber.optional().describe('The last port of the range. Default: port alone.'),
})
  .superRefine(({ port, endPort = port }, context) => {
    if (endPort < port) refuse(context, ['endPort'], NOT_BELOW, `${endPort}, below ${port}`)
  })
  .meta({
    description: 'A port or a range of ports.',
    ...celRules({ rule: '!has(self.endPort) || self.endPort >= self.port', message: NOT_BELOW, fieldPath: '.endPort' }),
  })
const portSpans = list(portSpan, 0, 100, '[{ port: 8080 }, { port: 9000, endPort: 9010 }]')

const compat = fields({
  ports: portSpans
    .optional()
    .describe(
      'Ports of these pods whose HTTP is parsed by Node; an empty list takes back what a less specific policy says. The annotation config.weft.dev/compat-ports of a pod comes first. Default: none.',
    ),
})

const AT_LEAST_ONE = 'at least one label; leave selector out for the whole namespace'

const spec = fields({
  selector: fields({
    matchLabels: labels
      .refine((map) => Object.keys(map).length > 0, { error: AT_LEAST_ONE })
      .meta({
        description: 'Labels that a pod must have, all of them.',
        ...celRules({ rule: 'size(self) > 0', message: AT_LEAST_ONE }),
      }),
  })
    .optional()
    .describe('Narrows the policy to the pods with these labels.'),
  mtls: fields({
    mode: oneOf('Strict', 'Permissive', 'Disabled')
      .optional()
      .describe(
        'Strict, the default, lets in only callers with an identity of the mesh; Permissive lets connections in clear in too; with Disabled callers dial in clear.',
      ),
  })
    .optional()
    .describe('Mutual TLS between sidecars.'),
  tracing: tracing.optional().describe('Which traces are kept, and where spans are sent.'),
  accessLog: fields({
    enabled: yesOrNo.optional().describe('Whether sidecars write a line for each request. Default: false.'),
  })
    .optional()
    .describe('The access log of sidecars.'),
  compat: compat
    .optional()
    .describe('Where the Compat engine (Node and http2-proxy) stands in for the strict codecs of sidecars.'),
}).describe('What is asked for. A field that is left out keeps its default, or what a less specific policy says.')

export const meshPolicySchema = kind({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'MeshPolicy',
  metadata: metadata(subdomainName),
  spec,
})
export type MeshPolicyResource = z.infer<typeof meshPolicySchema>
