// How much of routes one Service may have: all of it goes to each sidecar that calls the Service, in one message, and whoever may
// make routes in one namespace must not keep control busy for all others.
import type { HttpRouteResource } from '#shared/resources/http-route.ts'
import { byAge, type Condition, describeRef } from './status.ts'

type ParentRef = HttpRouteResource['spec']['parentRefs'][number]

/** Of the routes of one namespace on one Service, as JSON; a message holds 32 MiB. */
const MOST_CHARACTERS = 4 * 1024 * 1024

export interface TooMany {
  readonly ancestor: string
  readonly service: undefined
  readonly port: null
  readonly condition: Condition
}

/** The same object is asked about in each compilation. */
const sizes = new WeakMap<HttpRouteResource, number>()

function sizeOf(route: HttpRouteResource): number {
  const size = sizes.get(route) ?? JSON.stringify(route.spec.rules).length
  sizes.set(route, size)
  return size
}

/** Older routes come first. Those of the owner and of each namespace that calls are counted apart. */
export function countRoutes(
  routes: readonly HttpRouteResource[],
): (route: HttpRouteResource, parent: ParentRef) => TooMany | undefined {
  const ancestorOf = ({ metadata }: HttpRouteResource, { namespace = metadata.namespace, name }: ParentRef) =>
    describeRef({ kind: 'Service', namespace, name })
  const used = new Map<string, number>()
  const beyond = new Map<HttpRouteResource, Set<string>>()
  for (const route of routes.toSorted(byAge)) {
    for (const ancestor of new Set(route.spec.parentRefs.map((parent) => ancestorOf(route, parent)))) {
      const key = `${route.metadata.namespace} ${ancestor}`
      const size = (used.get(key) ?? 0) + sizeOf(route)
      if (size <= MOST_CHARACTERS) used.set(key, size)
      else beyond.set(route, (beyond.get(route) ?? new Set()).add(ancestor))
    }
  }
  return (route, parent) => {
    const ancestor = ancestorOf(route, parent)
    if (beyond.get(route)?.has(ancestor) !== true) return undefined
    const message = `not in force: older routes of ${route.metadata.namespace} on ${ancestor} leave no room for it; all of them may have ${MOST_CHARACTERS} characters`
    const condition: Condition = { type: 'Accepted', status: false, reason: 'TooManyRoutes', message }
    return { ancestor, service: undefined, port: null, condition }
  }
}
