// TrafficPolicy: how requests to a Service (or through an HTTPRoute) are balanced, repeated, timed and broken off. Defaults are in docs/resources.md.
import { z } from 'zod'
import {
  duration,
  fields,
  kind,
  list,
  metadata,
  oneOf,
  positiveDuration,
  refuse,
  subdomainName,
  wholeNumber,
} from './fields.ts'

const GROUPS = { Service: '', HTTPRoute: 'gateway.networking.k8s.io' } as const

const targetRef = fields({
  group: z.string({ error: '"" for a Service, "gateway.networking.k8s.io" for an HTTPRoute' }),
  kind: oneOf('Service', 'HTTPRoute'),
  name: subdomainName,
}).superRefine((ref, context) => {
  if (ref.group !== GROUPS[ref.kind])
    refuse(context, ['group'], `${JSON.stringify(GROUPS[ref.kind])} for kind ${ref.kind}`)
})

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'] as const

const retries = fields({
  /** Further tries after the first; 0: none. */
  attempts: wholeNumber(0, 10).optional(),
  statuses: list(wholeNumber(400, 599), 0, 50).optional(),
  methods: list(z.enum(METHODS, { error: `one of ${METHODS.join(', ')}` }), 0, METHODS.length).optional(),
  /** "0s": none. */
  perTryTimeout: duration.optional(),
  backoff: fields({ base: positiveDuration.optional() }).optional(),
  budget: fields({
    /** Retries allowed, of the requests in flight. */
    percent: wholeNumber(0, 100).optional(),
    minPerSecond: wholeNumber(0, 100_000).optional(),
  }).optional(),
})

const spec = fields({
  targetRefs: list(targetRef, 1, 16),
  loadBalancing: fields({ algorithm: oneOf('RoundRobin', 'LeastRequest').optional() }).optional(),
  retries: retries.optional(),
  timeouts: fields({
    connect: positiveDuration.optional(),
    /** "0s": none. */
    request: duration.optional(),
    idle: duration.optional(),
  }).optional(),
  circuitBreaker: fields({
    errorThresholdPercent: wholeNumber(1, 100).optional(),
    volumeThreshold: wholeNumber(1, 1_000_000).optional(),
    rollingWindow: positiveDuration.optional(),
    resetTimeout: positiveDuration.optional(),
  }).optional(),
  outlierDetection: fields({ consecutiveFailures: wholeNumber(1, 1000).optional() }).optional(),
}).superRefine((policy, context) => {
  if (!policy.targetRefs.some((ref) => ref.kind === 'HTTPRoute')) return
  const want = 'it left out: it chooses endpoints, so it attaches to a Service'
  if (policy.loadBalancing !== undefined)
    refuse(context, ['loadBalancing'], want, 'it beside a targetRef of kind HTTPRoute')
  if (policy.outlierDetection !== undefined)
    refuse(context, ['outlierDetection'], want, 'it beside a targetRef of kind HTTPRoute')
  if (policy.timeouts?.connect !== undefined)
    refuse(context, ['timeouts', 'connect'], want, 'it beside a targetRef of kind HTTPRoute')
})

export const trafficPolicySchema = kind({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: metadata(subdomainName),
  spec,
})
export type TrafficPolicyResource = z.infer<typeof trafficPolicySchema>
export type TrafficPolicySpec = TrafficPolicyResource['spec']
