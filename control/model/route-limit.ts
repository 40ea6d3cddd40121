// How much of routes one Service may have: all of it goes to each sidecar that calls the Service, in one message, and whoever may
// make routes in one namespace must not keep control busy for all others.
import type { HttpRouteResource } from '#shared/resources/http-route.ts'
import { byAge, type Condition, describeRef, refOf } from './status.ts'

/** Of the routes of one namespace on one Service, as JSON; a message holds 32 MiB. */
const MOST_CHARACTERS = 4 * 1024 * 1024

/** The same object is asked about in each compilation. */
const sizes = new WeakMap<HttpRouteResource, number>()

function sizeOf(route: HttpRouteResource): number {
  const size = sizes.get(route) ?? JSON.stringify(route.spec.rules).length
  sizes.set(route, size)
  return size
}

/** Of routes of one namespace on one Service those for which the older ones leave no room, by name. */
export function beyondLimit(routes: readonly HttpRouteResource[]): ReadonlySet<string> {
  const beyond = new Set<string>()
  let used = 0
  for (const route of routes.toSorted(byAge)) {
    const size = used + sizeOf(route)
    if (size <= MOST_CHARACTERS) used = size
    else beyond.add(describeRef(refOf(route)))
  }
  return beyond
}

export function tooMany(namespace: string, ancestor: string): Condition {
  const message = `not in force: older routes of ${namespace} on ${ancestor} leave no room for it; all of them may have ${MOST_CHARACTERS} characters`
  return { type: 'Accepted', status: false, reason: 'TooManyRoutes', message }
}
