// TrafficPolicy: how requests to a Service (or through an HTTPRoute) are balanced, repeated, timed and broken off. Defaults are in docs/resources.md.
import { z } from 'zod'
import { GRPC_STATUSES } from '#shared/grpc-status.ts'
import { parseDuration } from '#shared/settings.ts'
import {
  celRules,
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

const CORE_OR_ROUTE = '"" for kind Service, "gateway.networking.k8s.io" for kind HTTPRoute'

const targetRef = fields({
  group: z
    .string({ error: CORE_OR_ROUTE })
    .max(253, { error: CORE_OR_ROUTE })
    .describe('API group of the target: "" for a Service, "gateway.networking.k8s.io" for an HTTPRoute.'),
  kind: oneOf('Service', 'HTTPRoute').describe('Kind of the target.'),
  name: subdomainName.describe('Name of the target, which lies in the namespace of the policy.'),
})
  .superRefine((ref, context) => {
    if (ref.group !== GROUPS[ref.kind])
      refuse(context, ['group'], `${JSON.stringify(GROUPS[ref.kind])} for kind ${ref.kind}`)
  })
  .meta({
    description: 'An object that the policy is attached to.',
    ...celRules({
      rule: "self.group == (self.kind == 'Service' ? '' : 'gateway.networking.k8s.io')",
      message: CORE_OR_ROUTE,
      fieldPath: '.group',
    }),
  })

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'TRACE', 'PATCH'] as const
const REPEATABLE_GRPC = GRPC_STATUSES.slice(1) as Exclude<(typeof GRPC_STATUSES)[number], 'OK'>[]

const retries = fields({
  attempts: wholeNumber(0, 10).optional().describe('Further tries after the first; 0 means none. Default: 2.'),
  statuses: list(wholeNumber(400, 599), 0, 50)
    .optional()
    .describe('Status codes of answers that are tried again. Default: 502, 503, 504.'),
  methods: list(z.enum(METHODS, { error: `one of ${METHODS.join(', ')}` }), 0, METHODS.length)
    .optional()
    .describe(
      'Methods that may be repeated after a byte of the request has left. A request of which no byte left is repeated whatever its method. Default: GET, HEAD, OPTIONS, TRACE, PUT, DELETE.',
    ),
  grpcStatuses: list(z.enum(REPEATABLE_GRPC, { error: `one of ${REPEATABLE_GRPC.join(', ')}` }), 0, 16)
    .optional()
    .describe(
      'Statuses of gRPC that are tried again, by name such as UNAVAILABLE, where the call got no message; the method does not matter. Default: none.',
    ),
  perTryTimeout: duration
    .optional()
    .describe('How long one try may take, such as 2s; "0s" means no limit, the default.'),
  backoff: fields({
    base: positiveDuration
      .optional()
      .describe('Wait before the first further try; it doubles with each, with jitter. Default: 25ms.'),
  })
    .optional()
    .describe('How long to wait between tries.'),
  budget: fields({
    percent: wholeNumber(0, 100)
      .optional()
      .describe('Tries allowed for each hundred requests, so that retries cannot bury a service. Default: 20.'),
    minPerSecond: wholeNumber(0, 100_000).optional().describe('Tries that are always allowed in a second. Default: 3.'),
  })
    .optional()
    .describe('A limit on all further tries together.'),
})

const timeouts = fields({
  connect: positiveDuration
    .optional()
    .describe('How long a connection to an endpoint may take. Default: 2s. Only on a Service.'),
  request: duration
    .optional()
    .describe('How long a request may take, all tries together; "0s" means no limit, the default.'),
  idle: duration.optional().describe('How long nothing may pass before it is ended; "0s" means no limit, the default.'),
})

const circuitBreaker = fields({
  errorThresholdPercent: wholeNumber(1, 100)
    .optional()
    .describe('Share of failed requests within the window that opens the breaker. Default: 50.'),
  volumeThreshold: wholeNumber(1, 1_000_000)
    .optional()
    .describe('Requests in the window before the breaker may open. Default: 20.'),
  rollingWindow: positiveDuration.optional().describe('The time over which failures are counted. Default: 10s.'),
  resetTimeout: positiveDuration
    .optional()
    .describe('How long the breaker stays open before one request may try. Default: 5s.'),
})

const ONLY_ON_SERVICE = 'it left out: it chooses endpoints, so it attaches to a Service'
const NOT_ON_ROUTE = 'it beside a targetRef of kind HTTPRoute'
const onServiceOnly = (path: string, isSet: string) => ({
  rule: `!(${isSet}) || self.targetRefs.all(ref, ref.kind == 'Service')`,
  message: ONLY_ON_SERVICE,
  fieldPath: path,
})

const EACH_ONCE = 'each target once'

const targetRefs = list(targetRef, 1, 16)
  .superRefine((refs, context) => {
    const names = refs.map(({ kind: of, name }) => `${of} ${name}`)
    for (const [index, name] of names.entries()) {
      if (names.indexOf(name) < index) refuse(context, [index], EACH_ONCE, `${name} a second time`)
    }
  })
  .meta({
    description: 'What the policy is attached to: Services and HTTPRoutes of its namespace.',
    ...celRules({
      rule: 'self.all(one, self.exists_one(other, other.kind == one.kind && other.name == one.name))',
      message: EACH_ONCE,
    }),
  })

const WITHIN_REQUEST = 'at most timeouts.request, which all tries share'

const spec = fields({
  targetRefs,
  loadBalancing: fields({
    algorithm: oneOf('RoundRobin', 'LeastRequest')
      .optional()
      .describe('RoundRobin takes each endpoint in turn; LeastRequest, the default, the less busy of two.'),
  })
    .optional()
    .describe('How an endpoint is chosen. Only on a Service.'),
  retries: retries.optional().describe('When a request is tried again, on another endpoint each time.'),
  timeouts: timeouts.optional().describe('Limits of time. Durations are written as 250ms, 10s or 1h30m.'),
  circuitBreaker: circuitBreaker
    .optional()
    .describe('Answers at once, with 503, while too many requests fail. Off unless given; {} takes the defaults.'),
  outlierDetection: fields({
    consecutiveFailures: wholeNumber(1, 1000)
      .optional()
      .describe('Failures in a row after which an endpoint is left out for a while. Default: 5.'),
  })
    .optional()
    .describe('When a single endpoint is left out. Only on a Service.'),
  connections: fields({
    betweenSidecars: oneOf('HTTP2', 'HTTP1')
      .optional()
      .describe(
        'How requests of HTTP/1.x travel to another sidecar: HTTP2, the default, puts them all on one shared connection to an endpoint; HTTP1 gives each a connection of its own while it lasts. Requests of HTTP/2 stay HTTP/2.',
      ),
  })
    .optional()
    .describe('Connections to endpoints. Only on a Service.'),
})
  .superRefine(({ retries: tries, timeouts: limits }, context) => {
    const request = parseDuration(limits?.request ?? '') ?? 0
    if (request > 0 && (parseDuration(tries?.perTryTimeout ?? '') ?? 0) > request)
      refuse(context, ['retries', 'perTryTimeout'], WITHIN_REQUEST)
  })
  .superRefine((policy, context) => {
    if (!policy.targetRefs.some((ref) => ref.kind === 'HTTPRoute')) return
    if (policy.loadBalancing !== undefined) refuse(context, ['loadBalancing'], ONLY_ON_SERVICE, NOT_ON_ROUTE)
    if (policy.outlierDetection !== undefined) refuse(context, ['outlierDetection'], ONLY_ON_SERVICE, NOT_ON_ROUTE)
    if (policy.connections !== undefined) refuse(context, ['connections'], ONLY_ON_SERVICE, NOT_ON_ROUTE)
    if (policy.timeouts?.connect !== undefined) refuse(context, ['timeouts', 'connect'], ONLY_ON_SERVICE, NOT_ON_ROUTE)
  })
  .meta({
    description: 'What is asked for. A field that is left out keeps its default, or what another policy says.',
    ...celRules(
      onServiceOnly('.loadBalancing', 'has(self.loadBalancing)'),
      onServiceOnly('.outlierDetection', 'has(self.outlierDetection)'),
      onServiceOnly('.connections', 'has(self.connections)'),
      onServiceOnly('.timeouts.connect', 'has(self.timeouts) && has(self.timeouts.connect)'),
      {
        rule: "!(has(self.retries) && has(self.retries.perTryTimeout) && has(self.timeouts) && has(self.timeouts.request)) || duration(self.timeouts.request) == duration('0s') || duration(self.retries.perTryTimeout) <= duration(self.timeouts.request)",
        message: WITHIN_REQUEST,
        fieldPath: '.retries.perTryTimeout',
      },
    ),
  })

export const trafficPolicySchema = kind({
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'TrafficPolicy',
  metadata: metadata(subdomainName),
  spec,
})
export type TrafficPolicyResource = z.infer<typeof trafficPolicySchema>
export type TrafficPolicySpec = TrafficPolicyResource['spec']
