// What a resource is right now for one caller: its version and its state. Computed once and kept until what it was computed from
// changes, since a thousand sidecars ask the same.
import { createHash } from 'node:crypto'
import { parseAddress } from '#shared/address.ts'
import {
  type EndpointState,
  endpointsName,
  familyOf,
  parseEndpointsName,
  type ResourceType,
  resourceKey,
} from '#shared/contract/discovery.ts'
import { widestRangeOutside } from '#shared/contract/range.ts'
import type { DestinationConfig, ObjectRef } from '#shared/decide/config.ts'
import type { Place } from '#shared/standalone/world.ts'
import { Memo } from '../model/tracked.ts'
import type { ModelView } from './view.ts'

export type Content = {
  readonly version: string
  /** Names of ENDPOINTS resources that go with it. */
  readonly needs: readonly string[]
  /** The objects that made it what it is, "HTTPRoute shop/catalog". */
  readonly objects: readonly string[]
} & (
  | { readonly configuration: string }
  | { readonly endpoints: readonly EndpointState[] }
  | { readonly notOurs: { readonly cidr: string } }
)

export interface Caller {
  readonly namespace: string
  readonly pod: string
}

const NONE: readonly string[] = []
const REMEMBERED = 50_000

/** JSON with sorted keys, so that equal contents have one text whoever compiled them in whatever order. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_, item: unknown) =>
    item !== null && typeof item === 'object' && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}

function versionOf(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 16)
}

const objectName = (object: ObjectRef): string => `${object.kind} ${object.namespace}/${object.name}`

function objectsOf(config: DestinationConfig): readonly string[] {
  const objects = [
    ...config.rules.flatMap((rule) => [rule.route, ...rule.policy.from]),
    ...config.policy.from,
    ...config.backends.flatMap((backend) => backend.policy.from),
  ]
  if (config.service !== null) objects.push({ kind: 'Service', ...config.service })
  return [...new Set(objects.map(objectName))].sort()
}

function destinationContent(view: ModelView, name: string, caller: Caller): Content {
  const config = view.destination(name, caller.namespace)
  if (config === null) {
    const cidr = widestRangeOutside(parseAddress(name).host, view.ranges) ?? ''
    return { version: versionOf(`not ours ${cidr}`), needs: NONE, objects: NONE, notOurs: { cidr } }
  }
  const configuration = canonicalJson(config)
  const needs = [...new Set([config.defaultBackend, ...config.backends.map((backend) => backend.key)])]
  const family = familyOf(name)
  return {
    version: versionOf(configuration),
    needs: needs.map((backend) => endpointsName(backend, family)),
    objects: objectsOf(config),
    configuration,
  }
}

function endpointsContent(view: ModelView, name: string, place: Place): Content {
  const { backend, family } = parseEndpointsName(name)
  const endpoints = [...view.endpoints(backend, family, place)].sort((a, b) => (a.address < b.address ? -1 : 1))
  return { version: versionOf(canonicalJson(endpoints)), needs: NONE, objects: NONE, endpoints }
}

function workloadContent(view: ModelView, pod: string): Content | null {
  const config = view.workload(pod)
  if (config === null) return null
  const configuration = canonicalJson(config)
  const objects = view.workloadObjects(pod).map(objectName)
  return { version: versionOf(configuration), needs: NONE, objects, configuration }
}

export interface Contents {
  /** null: there is nothing to say (the caller's own pod is gone from the world). Throws a TypeError on a bad name. */
  of(type: ResourceType, name: string, caller: Caller): Content | null
}

export function createContents(view: ModelView): Contents {
  const compute = (type: ResourceType, name: string, caller: Caller): Content | null => {
    if (type === 'DESTINATION') return destinationContent(view, name, caller)
    return type === 'ENDPOINTS' ? endpointsContent(view, name, placeOf(name, caller)) : workloadContent(view, name)
  }
  // Names are chosen by callers, so what they fill must have an end.
  const known = new Memo<Content | null>(REMEMBERED)
  const placeOf = (name: string, { pod }: Caller) => view.placeOf(parseEndpointsName(name).backend, pod)
  /** What of the caller makes a difference: its namespace for routes, and for endpoints its place, of those services that look at it. */
  const aspectOf = (type: ResourceType, name: string, caller: Caller): string => {
    if (type === 'DESTINATION') return caller.namespace
    if (type === 'WORKLOAD') return ''
    const { node, zone } = placeOf(name, caller)
    return `${node} ${zone}`
  }
  return {
    of(type, name, caller) {
      const key = `${aspectOf(type, name, caller)} ${resourceKey({ type, name })}`
      return known.get(key, () => compute(type, name, caller))
    },
  }
}
