// HTTPRoute of the Gateway API v1.6 with Services as parents (GAMMA), with its own limits.
import { z } from 'zod'
import { estimateSteps, regexMistake } from '#shared/decide/regex.ts'
import { parseDuration } from '#shared/settings.ts'
import {
  duration,
  fields,
  kind,
  labelName,
  list,
  metadata,
  noRepeats,
  portNumber,
  refuse,
  subdomainName,
  wholeNumber,
} from './fields.ts'
import { httpMatch, patternsOf } from './http-match.ts'

const CORE = 'group: "" (Service is of the core group)'

const parentRef = fields({
  group: z.literal('', { error: CORE }),
  kind: z.literal('Service', { error: 'Service (a Gateway as parent is not supported yet)' }),
  namespace: labelName.optional(),
  name: labelName,
  /** The name of a port of the Service. */
  sectionName: subdomainName.optional(),
  port: portNumber.optional(),
})

const backendRef = fields(
  {
    group: z.literal('', { error: CORE }).default(''),
    kind: z.literal('Service', { error: 'Service (other kinds are not supported yet)' }).default('Service'),
    namespace: labelName.optional(),
    name: labelName,
    port: portNumber,
    weight: wholeNumber(0, 1_000_000).default(1),
  },
  ['filters'],
)

const timeouts = fields({
  /** "0s": none. */
  request: duration.optional(),
  backendRequest: duration.optional(),
}).superRefine((given, context) => {
  const request = parseDuration(given.request ?? '') ?? 0
  const backend = parseDuration(given.backendRequest ?? '') ?? 0
  if (request > 0 && backend > request) {
    refuse(
      context,
      ['backendRequest'],
      `at most timeouts.request (${given.request})`,
      JSON.stringify(given.backendRequest),
    )
  }
})

const rule = fields(
  {
    name: subdomainName.optional(),
    /** Empty means everything. */
    matches: list(httpMatch, 0, 64).default([]),
    backendRefs: list(backendRef, 0, 16).default([]),
    timeouts: timeouts.optional(),
  },
  ['filters', 'retry', 'sessionPersistence'],
)

const MOST_MATCHES = 128
/** Each is compiled by control and by every sidecar that gets the route. */
const MOST_PATTERN_CHARACTERS = 8192
/** Plain texts have one for each character; what counted repeats make of a short text takes as long to compile as a long one. */
const MOST_PATTERN_STEPS = 8192

/** Their sum first: nothing is compiled of a route that has too many. */
function checkPatterns(rules: readonly z.infer<typeof rule>[], context: z.core.$RefinementCtx): void {
  const patterns = rules.flatMap(({ matches }, index) =>
    matches.flatMap((match, at) =>
      patternsOf(match).map(({ path, text }) => ({ path: [index, 'matches', at, ...path], text })),
    ),
  )
  const characters = patterns.reduce((sum, { text }) => sum + text.length, 0)
  if (characters > MOST_PATTERN_CHARACTERS) {
    const want = `at most ${MOST_PATTERN_CHARACTERS} characters in all regular expressions together`
    return refuse(context, [], want, `${characters} characters`)
  }
  const steps = patterns.reduce((sum, { text }) => sum + estimateSteps(text), 0)
  if (patterns.length > 1 && steps > MOST_PATTERN_STEPS) {
    const want = `at most ${MOST_PATTERN_STEPS} steps in all regular expressions together: fewer counted repeats`
    return refuse(context, [], want, `about ${steps} steps`)
  }
  for (const { path, text } of patterns) {
    const mistake = regexMistake(text)
    if (mistake !== undefined) refuse(context, path, mistake)
  }
}

const spec = fields(
  {
    parentRefs: list(parentRef, 1, 32),
    // The Gateway API says: ignored for a Service as parent. A match on the Host header is a header match.
    hostnames: list(
      z.string({ error: 'text' }).max(253, { error: 'text of at most 253 characters' }),
      0,
      16,
    ).optional(),
    rules: list(rule, 1, 16)
      .superRefine(noRepeats((item) => item.name, 'name'))
      .superRefine((rules, context) => {
        const total = rules.reduce((sum, item) => sum + item.matches.length, 0)
        if (total > MOST_MATCHES)
          refuse(context, [], `at most ${MOST_MATCHES} matches in all rules together`, `${total} matches`)
      })
      .superRefine(checkPatterns)
      .prefault([{}]),
  },
  ['useDefaultGateways'],
)

export const httpRouteSchema = kind({
  apiVersion: 'gateway.networking.k8s.io/v1',
  kind: 'HTTPRoute',
  metadata: metadata(subdomainName),
  spec,
})
export type HttpRouteResource = z.infer<typeof httpRouteSchema>
export type HttpRouteRule = HttpRouteResource['spec']['rules'][number]
