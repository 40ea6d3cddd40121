// Which rule comes first when several routes of one Service could match: the order of the Gateway API (HTTPRouteRule, "matches").
// Routes are flattened to rules of one match each, so that the first that holds is the one that decides.
import type { ObjectRef, RouteMatch, RouteRule } from './config.ts'

export interface RankedRoute {
  readonly route: ObjectRef
  /** metadata.creationTimestamp in milliseconds; null: unknown, as in files, which count as older than any time. */
  readonly createdAt: number | null
  readonly rules: readonly RouteRule[]
}

/** Exact path, longest prefix, method, most headers, most query parameters, oldest route, name, place in the route. */
export function orderRules(routes: readonly RankedRoute[]): RouteRule[] {
  const entries = routes.flatMap((route) => route.rules.flatMap((rule) => flatten(route, rule)))
  // sort() is stable, which keeps the order of rules and matches within a route.
  return entries
    .sort((a, b) => compareMatches(a.match, b.match) || compareRoutes(a.route, b.route))
    .map(({ rule }) => rule)
}

interface Entry {
  readonly route: RankedRoute
  readonly match: RouteMatch
  readonly rule: RouteRule
}

function flatten(route: RankedRoute, rule: RouteRule): Entry[] {
  if (rule.matches.length === 0) return [{ route, match: {}, rule }]
  return rule.matches.map((match) => ({ route, match, rule: { ...rule, matches: [match] } }))
}

function compareMatches(a: RouteMatch, b: RouteMatch): number {
  return (
    pathRank(b) - pathRank(a) ||
    pathLength(b) - pathLength(a) ||
    Number(b.method !== undefined) - Number(a.method !== undefined) ||
    (b.headers?.length ?? 0) - (a.headers?.length ?? 0) ||
    (b.queryParams?.length ?? 0) - (a.queryParams?.length ?? 0)
  )
}

/** Where an expression stands is left to implementations: between an exact path and a prefix, except that no path is like prefix "/". */
function pathRank(match: RouteMatch): number {
  if (match.path?.type === 'Exact') return 2
  return match.path?.type === 'RegularExpression' ? 1 : 0
}

/** In characters; of an expression too, for want of anything better to go by. */
function pathLength(match: RouteMatch): number {
  return match.path?.value.length ?? 1
}

function compareRoutes(a: RankedRoute, b: RankedRoute): number {
  return (a.createdAt ?? 0) - (b.createdAt ?? 0) || compareText(keyOf(a.route), keyOf(b.route))
}

const keyOf = (route: ObjectRef) => `${route.namespace}/${route.name}`

function compareText(a: string, b: string): number {
  if (a === b) return 0
  return a < b ? -1 : 1
}
