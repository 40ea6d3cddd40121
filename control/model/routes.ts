// HTTPRoutes that are attached to Services: which rules a caller of a namespace meets at a port, and what is wrong with a route.
import type { ObjectRef, RequestPolicy, RouteMatch, RouteRule, WeightedBackend } from '#shared/decide/config.ts'
import { orderRules, type RankedRoute } from '#shared/decide/precedence.ts'
import type { HttpMatch } from '#shared/resources/http-match.ts'
import type { HttpRouteResource, HttpRouteRule } from '#shared/resources/http-route.ts'
import type { ServiceResource } from '#shared/resources/service.ts'
import { ancestorOf, type Documents, resourceOf, resourcesOf } from './facts.ts'
import type { Inventory } from './inventory.ts'
import { beyondLimit, tooMany } from './route-limit.ts'
import {
  type BackendRef,
  backendMistake,
  findParent,
  type Parent,
  type ParentRef,
  resolveCondition,
} from './route-references.ts'
import { limitOf, type Merged, requestPolicy } from './settings.ts'
import { createdAt, describeRef, type ObjectStatus, refOf } from './status.ts'
import type { Remember } from './tracked.ts'
import { layer, type TrafficPolicies } from './traffic.ts'

export interface Routes {
  /**
   * In order of precedence. Routes of the caller's own namespace on a Service of another one (consumer routes) stand in for
   * those of the Service's owner: they are not mixed.
   */
  rulesFor(service: ServiceResource, port: number, callerNamespace: string): readonly RouteRule[]
  /** Of one route, "HTTPRoute shop/catalog": a status for each parent; of what is none nothing. */
  statusesOf(route: string): readonly ObjectStatus[]
}

interface Attached {
  readonly namespace: string
  /** null: every port. */
  readonly port: number | null
  readonly ranked: RankedRoute
}

export interface RouteParts {
  readonly documents: Documents
  readonly inventory: Inventory
  readonly policies: TrafficPolicies
}

export function compileRoutes(parts: RouteParts, remember: Remember): Routes {
  const { documents, inventory } = parts
  const on = (ancestor: string) => resourcesOf(documents, documents.by('parent', ancestor), 'HTTPRoute')
  /** By namespace of the routes and Service: "shop Service shop/catalog". */
  const beyond = remember((key) => {
    const [namespace, ancestor] = splitOnce(key)
    return beyondLimit(on(ancestor).filter(({ metadata }) => metadata.namespace === namespace))
  })
  const parentOf = (route: HttpRouteResource, ref: ParentRef): Parent => {
    const { namespace } = route.metadata
    const ancestor = ancestorOf(route, ref)
    if (!beyond.get(`${namespace} ${ancestor}`).has(describeRef(refOf(route)))) return findParent(route, ref, inventory)
    return { ancestor, service: undefined, port: null, condition: tooMany(namespace, ancestor) }
  }
  const attached = remember((ancestor) =>
    on(ancestor).flatMap((route) => attach(route, ancestor, { ...parts, parentOf })),
  )
  const told = remember((name) => {
    const route = resourceOf(documents, name, 'HTTPRoute')
    return route === undefined ? [] : route.spec.parentRefs.map((ref) => tell(route, ref, { ...parts, parentOf }))
  })
  return {
    rulesFor: (service, port, callerNamespace) =>
      chooseRules(attached.get(describeRef(refOf(service))), { service, port, callerNamespace }),
    statusesOf: (route) => told.get(route),
  }
}

const splitOnce = (key: string): [string, string] => [key.slice(0, key.indexOf(' ')), key.slice(key.indexOf(' ') + 1)]

interface AttachParts extends RouteParts {
  parentOf(route: HttpRouteResource, ref: ParentRef): Parent
}

function attach(route: HttpRouteResource, ancestor: string, parts: AttachParts): readonly Attached[] {
  const here = route.spec.parentRefs.filter((ref) => ancestorOf(route, ref) === ancestor)
  return here.flatMap((ref) => {
    const { service, port } = parts.parentOf(route, ref)
    if (service === undefined) return []
    return [{ namespace: route.metadata.namespace, port, ranked: rankRoute(route, ref, service, parts) }]
  })
}

function tell(route: HttpRouteResource, ref: ParentRef, { inventory, parentOf }: AttachParts): ObjectStatus {
  const { ancestor, condition } = parentOf(route, ref)
  return { object: refOf(route), ancestor, conditions: [condition, resolveCondition(route, ref, inventory)] }
}

interface Asked {
  readonly service: ServiceResource
  readonly port: number
  readonly callerNamespace: string
}

function chooseRules(attached: readonly Attached[], { service, port, callerNamespace }: Asked): readonly RouteRule[] {
  const all = attached.filter((one) => one.port === null || one.port === port)
  const consumer = all.filter((one) => one.namespace === callerNamespace)
  const chosen = consumer.length > 0 ? consumer : all.filter((one) => one.namespace === service.metadata.namespace)
  return orderRules(oncePerRoute(chosen.map(({ ranked }) => ranked)))
}

/** A route that names one Service twice (by port and without) has its rules once. */
function oncePerRoute(routes: readonly RankedRoute[]): readonly RankedRoute[] {
  return [...new Map(routes.map((ranked) => [describeRef(ranked.route), ranked])).values()]
}

function rankRoute(
  route: HttpRouteResource,
  parent: ParentRef,
  service: ServiceResource,
  { inventory, policies }: RouteParts,
): RankedRoute {
  const ref: ObjectRef = refOf(route)
  const onService = policies.on('Service', service.metadata.namespace, service.metadata.name)
  const merged = layer(policies.on('HTTPRoute', ref.namespace, ref.name), onService)
  const rules = route.spec.rules.map(
    (rule, index): RouteRule => ({
      route: ref,
      // A name from the file cannot look like this, so that names are unique within a route.
      rule: rule.name ?? `rules[${index}]`,
      matches: rule.matches.map(toMatch),
      backends: rule.backendRefs.map((backend) => toBackend(route, parent, backend, inventory)),
      policy: rulePolicy(rule, merged),
    }),
  )
  return { route: ref, createdAt: createdAt(route.metadata.creationTimestamp), rules }
}

function toBackend(
  route: HttpRouteResource,
  parent: ParentRef,
  ref: BackendRef,
  inventory: Inventory,
): WeightedBackend {
  const isBroken = backendMistake(route, parent, ref, inventory) !== undefined
  const key = `${ref.namespace ?? route.metadata.namespace}/${ref.name}:${ref.port}`
  return { backend: isBroken ? null : key, weight: ref.weight }
}

/** Timeouts of the rule itself beat those of any policy. */
function rulePolicy(rule: HttpRouteRule, merged: Merged): RequestPolicy {
  const policy = requestPolicy(merged)
  const request = limitOf(rule.timeouts?.request)
  const perTry = limitOf(rule.timeouts?.backendRequest)
  return {
    ...policy,
    requestTimeoutMs: request === undefined ? policy.requestTimeoutMs : request,
    retries: perTry === undefined ? policy.retries : { ...policy.retries, perTryTimeoutMs: perTry },
  }
}

function toMatch(match: HttpMatch): RouteMatch {
  const { path, method, headers, queryParams } = match
  return {
    ...(path && { path }),
    ...(method && { method }),
    ...(headers && headers.length > 0 && { headers }),
    ...(queryParams && queryParams.length > 0 && { queryParams }),
  }
}
