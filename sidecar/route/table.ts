// The running form of what discovery says of a destination: compiled rules, pools, steps.
// Rebuilt when its configuration is another object; backends and steps whose policy is unchanged are carried over,
// so that a push loses no breaker state, budget or pooled connection.

import type { Step } from '#flow/exchange.ts'
import type { Resolve, Route, UpstreamGroup } from '#flow/route.ts'
import type { Endpoint, EndpointSet, Lease } from '#flow/upstream.ts'
import type { BackendConfig, DestinationConfig, RequestPolicy } from '#shared/decide/config.ts'
import { type CompiledDestination, compileDestination, decide } from '#shared/decide/decide.ts'
import type { Watch } from '#shared/watch.ts'

/** What discovery gives for an address. */
export interface KnownDestination {
  readonly config: Watch<DestinationConfig>
  endpoints(backendKey: string): EndpointSet
  /** Aborted when its subscription is given up: it changes no more. */
  readonly dropped: AbortSignal
}

export interface Backend extends UpstreamGroup {
  readonly config: BackendConfig
  lease(hash: number, tried: readonly Endpoint[]): Lease | undefined
  close(): void
}

export interface StepSet {
  readonly steps: readonly Step[]
  close(): void
}

export interface RouteTableParts {
  readonly createBackend: (config: BackendConfig, endpoints: EndpointSet) => Backend
  /** `scope` names what the policy acts on: a service or a rule of a route. */
  readonly createSteps: (policy: RequestPolicy, scope: string) => StepSet
}

export interface Target {
  readonly config: DestinationConfig
  /** "namespace/name" or null for a pod address of no service. */
  readonly service: string | null
  readonly resolve: Resolve
  /** What L4 uses. */
  readonly defaultBackend: Backend | null
  /** Who spoke first on this destination; shared by all its connections. */
  readonly memory: { spoke: 'http' | 'server' | null }
  isStale(): boolean
}

/** The scope of what no route says. */
const SERVICE_SCOPE = ''

export function createRouteTable(parts: RouteTableParts): (destination: KnownDestination) => Target {
  const targets = new WeakMap<KnownDestination, RunningTarget>()
  return (destination) => {
    const known = targets.get(destination)
    if (known !== undefined && !known.isStale()) return known
    const made = new RunningTarget(destination, parts, known ?? null)
    if (known === undefined) {
      destination.dropped.addEventListener('abort', () => targets.get(destination)?.close(), { once: true })
    }
    targets.set(destination, made)
    return made
  }
}

class RunningTarget implements Target {
  readonly config: DestinationConfig
  readonly service: string | null
  readonly resolve: Resolve
  readonly defaultBackend: Backend | null
  readonly memory: { spoke: 'http' | 'server' | null }
  readonly backends = new Map<string, Backend>()
  readonly stepSets = new Map<string, { readonly policy: string; readonly set: StepSet }>()
  readonly #destination: KnownDestination
  readonly #parts: RouteTableParts

  constructor(destination: KnownDestination, parts: RouteTableParts, previous: RunningTarget | null) {
    this.#destination = destination
    this.#parts = parts
    this.config = destination.config.current
    const { service } = this.config
    this.service = service === null ? null : `${service.namespace}/${service.name}`
    this.memory = previous?.memory ?? { spoke: null }
    this.#adoptBackends(previous)
    this.#adoptSteps(previous)
    this.defaultBackend = this.backends.get(this.config.defaultBackend) ?? null
    this.resolve = this.#makeResolve(compileDestination(this.config))
  }

  isStale(): boolean {
    return this.#destination.config.current !== this.config
  }

  /** What is in flight still ends; nothing is kept for more. */
  close(): void {
    for (const backend of this.backends.values()) backend.close()
    for (const { set } of this.stepSets.values()) set.close()
  }

  #adoptBackends(previous: RunningTarget | null): void {
    for (const config of this.config.backends) {
      const old = previous?.backends.get(config.key)
      const isSame = old !== undefined && JSON.stringify(old.config) === JSON.stringify(config)
      this.backends.set(
        config.key,
        isSame ? old : this.#parts.createBackend(config, this.#destination.endpoints(config.key)),
      )
    }
    for (const [key, old] of previous?.backends ?? []) if (this.backends.get(key) !== old) old.close()
  }

  #adoptSteps(previous: RunningTarget | null): void {
    this.#adoptStepSet(previous, SERVICE_SCOPE, this.config.policy)
    for (const rule of this.config.rules) {
      this.#adoptStepSet(previous, `${rule.route.namespace}/${rule.route.name}/${rule.rule}`, rule.policy)
    }
    for (const [scope, old] of previous?.stepSets ?? []) {
      if (this.stepSets.get(scope)?.set !== old.set) old.set.close()
    }
  }

  #adoptStepSet(previous: RunningTarget | null, scope: string, policy: RequestPolicy): void {
    // One rule stands as often in the list as it has match sets: they share their steps.
    if (this.stepSets.has(scope)) return
    const text = JSON.stringify(policy)
    const old = previous?.stepSets.get(scope)
    const owner = this.service ?? 'endpoint'
    const name = scope === SERVICE_SCOPE ? owner : `${owner}/${scope}`
    this.stepSets.set(scope, old?.policy === text ? old : { policy: text, set: this.#parts.createSteps(policy, name) })
  }

  #makeResolve(compiled: CompiledDestination): Resolve {
    // decide() gives the same object for the same outcome, so a route is made once.
    const routes = new WeakMap<object, Route>()
    return (facts) => {
      const decision = decide(compiled, facts)
      const known = routes.get(decision)
      if (known !== undefined) return known
      const { rule } = decision
      const scope = rule === null ? SERVICE_SCOPE : `${rule.route.namespace}/${rule.route.name}/${rule.rule}`
      const upstream = decision.kind === 'forward' ? (this.backends.get(decision.backend) ?? null) : null
      const steps = this.stepSets.get(scope)?.set.steps ?? []
      const policy = decision.kind === 'forward' ? decision.policy : (rule?.policy ?? this.config.policy)
      const route: Route = { decision, policy, steps, upstream }
      routes.set(decision, route)
      return route
    }
  }
}
