// MeshPolicy: mTLS mode, tracing and access log of the mesh (namespace weft-system), of a namespace, or of the workloads that a selector picks.
import { z } from 'zod'
import { fields, kind, labels, list, metadata, oneOf, subdomainName, yesOrNo } from './fields.ts'

/** Where a MeshPolicy without selector holds for every namespace. */
export const MESH_NAMESPACE = 'weft-system'

const ENDPOINT = 'a URL such as http://10.77.0.1:4318'

const tracing = fields({
  endpoint: z
    .string({ error: ENDPOINT })
    .max(1024, { error: ENDPOINT })
    .refine((value) => isHttpUrl(value), { error: ENDPOINT })
    .optional(),
  protocol: oneOf('grpc', 'http').optional(),
  samplingPercent: z
    .number({ error: 'a number, 0 to 100' })
    .min(0, { error: 'a number, 0 to 100' })
    .max(100, { error: 'a number, 0 to 100' })
    .optional(),
  propagators: list(oneOf('tracecontext', 'baggage', 'b3', 'b3multi'), 1, 4).optional(),
})

function isHttpUrl(value: string): boolean {
  const url = URL.parse(value)
  return url !== null && /^https?:$/.test(url.protocol) && url.username === '' && url.hash === ''
}

const spec = fields({
  selector: fields({
    matchLabels: labels.refine((map) => Object.keys(map).length > 0, {
      error: 'at least one label; leave selector out for the whole namespace',
    }),
  }).optional(),
  mtls: fields({ mode: oneOf('Strict', 'Permissive', 'Disabled').optional() }).optional(),
  tracing: tracing.optional(),
  accessLog: fields({ enabled: yesOrNo.optional() }).optional(),
})

export const meshPolicySchema = kind({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'MeshPolicy',
  metadata: metadata(subdomainName),
  spec,
})
export type MeshPolicyResource = z.infer<typeof meshPolicySchema>
