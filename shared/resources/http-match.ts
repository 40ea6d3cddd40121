// HTTPRouteMatch of the Gateway API v1.6 (apis/v1/httproute_types.go), with its own limits.
import { z } from 'zod'
import { canonicalPath } from '#shared/decide/facts.ts'
import { fields, list, matching, oneOf, refuse } from './fields.ts'

const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH'] as const
const PATH_CHARACTERS = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|%[0-9a-fA-F]{2})+$/
const PATH_WANT = 'a path that begins with "/", has no "//", dot segments, "%2F", "%5C", "#" or query'

const path = fields({
  type: oneOf('Exact', 'PathPrefix', 'RegularExpression').default('PathPrefix'),
  value: z
    .string({ error: 'a path such as /api' })
    .max(1024, { error: 'a path of at most 1024 characters' })
    .default('/'),
}).superRefine((match, context) => {
  if (match.type !== 'RegularExpression' && !isPlainPath(match.value)) refuse(context, ['value'], PATH_WANT)
})

function isPlainPath(value: string): boolean {
  if (!value.startsWith('/') || !PATH_CHARACTERS.test(value)) return false
  return canonicalPath(value).isPathPlain
}

const TOKEN = /^[A-Za-z0-9!#$%&'*+\-.^_`|~]+$/

function namedMatch(valueLimit: number, example: string) {
  const want = `text of 1 to ${valueLimit} characters`
  return fields({
    type: oneOf('Exact', 'RegularExpression').default('Exact'),
    name: matching(TOKEN, 256, `a name such as ${example}`),
    value: z.string({ error: want }).min(1, { error: want }).max(valueLimit, { error: want }),
  })
}

function namedMatches(item: ReturnType<typeof namedMatch>, keyOf: (name: string) => string) {
  return list(item, 0, 16).superRefine((items, context) => {
    const seen = new Set<string>()
    for (const [index, { name }] of items.entries()) {
      if (seen.has(keyOf(name)))
        refuse(context, [index, 'name'], 'each name once (a match can hold only one value)', `"${name}" a second time`)
      seen.add(keyOf(name))
    }
  })
}

export const httpMatch = fields({
  path: path.optional(),
  headers: namedMatches(namedMatch(4096, 'x-user'), (name) => name.toLowerCase()).optional(),
  queryParams: namedMatches(namedMatch(1024, 'version'), (name) => name).optional(),
  method: z.enum(METHODS, { error: `one of ${METHODS.join(', ')}` }).optional(),
})
export type HttpMatch = z.infer<typeof httpMatch>

export interface Pattern {
  /** From the match to its text. */
  readonly path: readonly PropertyKey[]
  readonly text: string
}

/** The regular expressions of a match; http-route.ts checks them, all of a route together. */
export function patternsOf({ path: onPath, headers = [], queryParams = [] }: HttpMatch): readonly Pattern[] {
  const parts = [
    ...(onPath === undefined ? [] : [{ path: ['path'], part: onPath }]),
    ...headers.map((part, index) => ({ path: ['headers', index], part })),
    ...queryParams.map((part, index) => ({ path: ['queryParams', index], part })),
  ]
  return parts.flatMap(({ path, part }) =>
    part.type === 'RegularExpression' ? [{ path: [...path, 'value'], text: part.value }] : [],
  )
}
