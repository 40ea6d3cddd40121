// Which backend a request goes to, and why: pure, so that a test decides exactly as a sidecar does.
// The same outcome is always the same Decision object, so that callers can key what they made for it.
import type { Decision, DestinationConfig, RequestFacts, RouteRule } from './config.ts'
import { type CompiledMatch, compileMatch, holds, looksAtPath } from './match.ts'
import { viewOf } from './view.ts'

interface CompiledRule {
  /** Empty: holds always. */
  readonly matches: readonly CompiledMatch[]
  readonly outcomes: readonly Decision[]
  /** Running sums of the weights, one for each outcome. */
  readonly bounds: readonly number[]
  readonly totalWeight: number
}

export interface CompiledDestination {
  readonly rules: readonly CompiledRule[]
  /** What meets no rule: the default backend while there are no routes, else a refusal. */
  readonly otherwise: Decision
  readonly ambiguous: Decision
  readonly looksAtPath: boolean
  readonly needsView: boolean
}

/** Throws a TypeError for an expression that is not RE2; validation has refused it before. */
export function compileDestination(config: DestinationConfig): CompiledDestination {
  const rules = config.rules.map(compileRule)
  const matches = rules.flatMap((rule) => rule.matches)
  return {
    rules,
    otherwise:
      rules.length === 0
        ? { kind: 'forward', backend: config.defaultBackend, rule: null, policy: config.policy }
        : { kind: 'refuse', code: 'NO_ROUTE', rule: null },
    ambiguous: { kind: 'refuse', code: 'AMBIGUOUS_PATH', rule: null },
    looksAtPath: matches.some(looksAtPath),
    needsView: matches.some((match) => match.needsView),
  }
}

function compileRule(rule: RouteRule): CompiledRule {
  const outcomes: Decision[] = []
  const bounds: number[] = []
  let totalWeight = 0
  for (const { backend, weight } of rule.backends) {
    if (weight <= 0) continue
    totalWeight += weight
    bounds.push(totalWeight)
    outcomes.push(
      backend === null
        ? { kind: 'refuse', code: 'NO_BACKEND', rule }
        : { kind: 'forward', backend, rule, policy: rule.policy },
    )
  }
  // No backend, or none with a weight: the Gateway API asks for a 500.
  if (outcomes.length === 0) outcomes.push({ kind: 'refuse', code: 'NO_BACKEND', rule })
  return { matches: rule.matches.map(compileMatch), outcomes, bounds, totalWeight }
}

export function decide(compiled: CompiledDestination, facts: RequestFacts): Decision {
  if (!facts.isPathPlain && compiled.looksAtPath) return compiled.ambiguous
  const view = compiled.needsView ? viewOf(facts) : null
  for (const rule of compiled.rules) {
    const { matches } = rule
    if (matches.length === 0) return pick(rule, facts.random)
    for (const match of matches) if (holds(match, facts, view)) return pick(rule, facts.random)
  }
  return compiled.otherwise
}

function pick(rule: CompiledRule, random: number): Decision {
  const { outcomes, bounds } = rule
  const last = outcomes.length - 1
  const point = random * rule.totalWeight
  let at = 0
  while (at < last && point >= (bounds[at] as number)) at++
  return outcomes[at] as Decision
}
