// HTTPRoutes that are attached to Services: which rules a caller of a namespace meets at a port, and what is wrong with a route.
import type { ObjectRef, RequestPolicy, RouteMatch, RouteRule, WeightedBackend } from '#shared/decide/config.ts'
import { orderRules, type RankedRoute } from '#shared/decide/precedence.ts'
import type { HttpMatch } from '#shared/resources/http-match.ts'
import type { HttpRouteResource, HttpRouteRule } from '#shared/resources/http-route.ts'
import type { ServiceResource } from '#shared/resources/service.ts'
import type { World } from '#shared/standalone/world.ts'
import type { Inventory } from './inventory.ts'
import { countRoutes } from './route-limit.ts'
import { limitOf, type Merged, requestPolicy } from './settings.ts'
import { accepted, type Condition, createdAt, describeRef, type ObjectStatus, refOf } from './status.ts'
import { layer, type TrafficPolicies } from './traffic.ts'

type ParentRef = HttpRouteResource['spec']['parentRefs'][number]
type BackendRef = HttpRouteRule['backendRefs'][number]

export interface Routes {
  /**
   * In order of precedence. Routes of the caller's own namespace on a Service of another one (consumer routes) stand in for
   * those of the Service's owner: they are not mixed.
   */
  rulesFor(service: ServiceResource, port: number, callerNamespace: string): readonly RouteRule[]
  readonly statuses: readonly ObjectStatus[]
}

interface Attached {
  readonly namespace: string
  /** null: every port. */
  readonly port: number | null
  readonly ranked: RankedRoute
}

export function compileRoutes(
  routes: readonly HttpRouteResource[],
  inventory: Inventory,
  policies: TrafficPolicies,
): Routes {
  const attached = new Map<string, Attached[]>()
  const statuses: ObjectStatus[] = []
  const isOneTooMany = countRoutes(routes)
  for (const route of routes) {
    for (const parent of route.spec.parentRefs) {
      const found = isOneTooMany(route, parent) ?? findParent(route, parent, inventory)
      const conditions = [found.condition, resolveCondition(route, parent, inventory)]
      statuses.push({ object: refOf(route), ancestor: found.ancestor, conditions })
      if (found.service === undefined) continue
      const ranked = rankRoute(route, parent, found.service, inventory, policies)
      const list = attached.get(found.ancestor) ?? []
      list.push({ namespace: route.metadata.namespace, port: found.port, ranked })
      attached.set(found.ancestor, list)
    }
  }
  return {
    rulesFor(service, port, callerNamespace) {
      const all = (attached.get(describeRef(refOf(service))) ?? []).filter(
        (one) => one.port === null || one.port === port,
      )
      const consumer = all.filter((one) => one.namespace === callerNamespace)
      const chosen = consumer.length > 0 ? consumer : all.filter((one) => one.namespace === service.metadata.namespace)
      return orderRules(oncePerRoute(chosen.map(({ ranked }) => ranked)))
    },
    statuses,
  }
}

/** A route that names one Service twice (by port and without) has its rules once. */
function oncePerRoute(routes: readonly RankedRoute[]): readonly RankedRoute[] {
  return [...new Map(routes.map((ranked) => [describeRef(ranked.route), ranked])).values()]
}

interface Parent {
  readonly ancestor: string
  readonly service: ServiceResource | undefined
  readonly port: number | null
  readonly condition: Condition
}

function findParent(route: HttpRouteResource, parent: ParentRef, inventory: Inventory): Parent {
  const namespace = parent.namespace ?? route.metadata.namespace
  const ancestor = describeRef({ kind: 'Service', namespace, name: parent.name })
  const service = inventory.services.get(`${namespace}/${parent.name}`)
  const none = (message: string): Parent => {
    const condition: Condition = { type: 'Accepted', status: false, reason: 'NoMatchingParent', message }
    return { ancestor, service: undefined, port: null, condition }
  }
  if (service === undefined) return none(`there is no ${ancestor}`)
  if (inventory.headless.has(`${namespace}/${parent.name}`))
    return none(`${ancestor} is headless: calls go to addresses of its pods, which meet no routes`)
  const isAnyPort = parent.port === undefined && parent.sectionName === undefined
  if (isAnyPort) return { ancestor, service, port: null, condition: accepted }
  const port = service.spec.ports.find(
    (candidate) =>
      (parent.port === undefined || candidate.port === parent.port) &&
      (parent.sectionName === undefined || candidate.name === parent.sectionName),
  )
  if (port !== undefined) return { ancestor, service, port: port.port, condition: accepted }
  const ports = service.spec.ports.map(({ port: number, name }) =>
    name === undefined ? `${number}` : `${number} (${name})`,
  )
  return none(`${ancestor} has no port ${parent.port ?? parent.sectionName}; it has ${ports.join(', ')}`)
}

/** Undefined when the reference is good. */
function backendMistake(
  route: HttpRouteResource,
  parent: ParentRef,
  ref: BackendRef,
  inventory: Inventory,
): Condition | undefined {
  const home = route.metadata.namespace
  const namespace = ref.namespace ?? home
  const name = describeRef({ kind: 'Service', namespace, name: ref.name })
  const bad = (reason: 'RefNotPermitted' | 'BackendNotFound', message: string): Condition => ({
    type: 'ResolvedRefs',
    status: false,
    reason,
    message,
  })
  // The addressed Service itself takes nothing from anyone: the request was on its way there.
  const isParent = namespace === (parent.namespace ?? home) && ref.name === parent.name
  if (namespace !== home && !isParent && !isGranted(inventory.world, home, { namespace, name: ref.name })) {
    return bad(
      'RefNotPermitted',
      `${name} is in another namespace, ${whatWouldPermit(inventory.world, home, namespace)}`,
    )
  }
  const service = inventory.services.get(`${namespace}/${ref.name}`)
  if (service === undefined) return bad('BackendNotFound', `there is no ${name}`)
  if (service.spec.ports.some(({ port }) => port === ref.port)) return undefined
  return bad(
    'BackendNotFound',
    `${name} has no port ${ref.port}; it has ${service.spec.ports.map(({ port }) => port).join(', ')}`,
  )
}

function isGranted(
  { grants = [] }: World,
  home: string,
  to: { readonly namespace: string; readonly name: string },
): boolean {
  return grants.some(
    (grant) =>
      grant.namespace === to.namespace &&
      grant.from.some(
        ({ group, kind, namespace }) =>
          group === 'gateway.networking.k8s.io' && kind === 'HTTPRoute' && namespace === home,
      ) &&
      grant.to.some(
        ({ group, kind, name }) => group === '' && kind === 'Service' && (name === undefined || name === to.name),
      ),
  )
}

function whatWouldPermit({ grants }: World, home: string, namespace: string): string {
  return grants === undefined
    ? `and files hold no ReferenceGrant: use a Service of ${home}`
    : `and no ReferenceGrant in ${namespace} lets HTTPRoutes of ${home} refer to it`
}

/** Every mistake is told, the reason is that of the first. */
function resolveCondition(route: HttpRouteResource, parent: ParentRef, inventory: Inventory): Condition {
  const mistakes = route.spec.rules.flatMap((rule, index) =>
    rule.backendRefs.flatMap((ref, at) => {
      const mistake = backendMistake(route, parent, ref, inventory)
      if (mistake === undefined) return []
      return [{ ...mistake, message: `spec.rules[${index}].backendRefs[${at}]: ${mistake.message}` }]
    }),
  )
  const [first] = mistakes
  if (first === undefined) return { type: 'ResolvedRefs', status: true, reason: 'ResolvedRefs', message: '' }
  return { ...first, message: mistakes.map(({ message }) => message).join('; ') }
}

function rankRoute(
  route: HttpRouteResource,
  parent: ParentRef,
  service: ServiceResource,
  inventory: Inventory,
  policies: TrafficPolicies,
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
