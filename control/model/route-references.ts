// What a route names: its parents and its backends, whether they are there, and whether it may.
import type { HttpRouteResource, HttpRouteRule } from '#shared/resources/http-route.ts'
import type { ServiceResource } from '#shared/resources/service.ts'
import { ancestorOf, type Facts } from './facts.ts'
import type { Inventory } from './inventory.ts'
import { accepted, type Condition, describeRef } from './status.ts'

export type ParentRef = HttpRouteResource['spec']['parentRefs'][number]
export type BackendRef = HttpRouteRule['backendRefs'][number]

export interface Parent {
  readonly ancestor: string
  readonly service: ServiceResource | undefined
  readonly port: number | null
  readonly condition: Condition
}

export function findParent(route: HttpRouteResource, parent: ParentRef, inventory: Inventory): Parent {
  const namespace = parent.namespace ?? route.metadata.namespace
  const ancestor = ancestorOf(route, parent)
  const service = inventory.service(`${namespace}/${parent.name}`)
  const none = (message: string): Parent => {
    const condition: Condition = { type: 'Accepted', status: false, reason: 'NoMatchingParent', message }
    return { ancestor, service: undefined, port: null, condition }
  }
  if (service === undefined) return none(`there is no ${ancestor}`)
  if (inventory.isHeadless(`${namespace}/${parent.name}`))
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
export function backendMistake(
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
  if (namespace !== home && !isParent && !isGranted(inventory.facts, home, { namespace, name: ref.name })) {
    return bad(
      'RefNotPermitted',
      `${name} is in another namespace, ${whatWouldPermit(inventory.facts, home, namespace)}`,
    )
  }
  const service = inventory.service(`${namespace}/${ref.name}`)
  if (service === undefined) return bad('BackendNotFound', `there is no ${name}`)
  if (service.spec.ports.some(({ port }) => port === ref.port)) return undefined
  return bad(
    'BackendNotFound',
    `${name} has no port ${ref.port}; it has ${service.spec.ports.map(({ port }) => port).join(', ')}`,
  )
}

function isGranted(
  { grants }: Facts,
  home: string,
  to: { readonly namespace: string; readonly name: string },
): boolean {
  const there = [...grants.by('namespace', to.namespace)].flatMap((grant) => grants.get(grant) ?? [])
  return there.some(
    (grant) =>
      grant.from.some(
        ({ group, kind, namespace }) =>
          group === 'gateway.networking.k8s.io' && kind === 'HTTPRoute' && namespace === home,
      ) &&
      grant.to.some(
        ({ group, kind, name }) => group === '' && kind === 'Service' && (name === undefined || name === to.name),
      ),
  )
}

function whatWouldPermit({ options }: Facts, home: string, namespace: string): string {
  return options.hasGrants
    ? `and no ReferenceGrant in ${namespace} lets HTTPRoutes of ${home} refer to it`
    : `and files hold no ReferenceGrant: use a Service of ${home}`
}

/** Every mistake is told, the reason is that of the first. */
export function resolveCondition(route: HttpRouteResource, parent: ParentRef, inventory: Inventory): Condition {
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
