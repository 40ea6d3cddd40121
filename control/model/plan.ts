// What a change would do, before it is done: which objects, and whose sidecars would hear of it. For `weft apply --dry-run`.
import { formatAddress } from '#shared/address.ts'
import type { Loaded } from '#shared/resources/load.ts'
import type { World } from '#shared/standalone/world.ts'
import { compile, type Model } from './compile.ts'
import { compareText } from './status.ts'

export interface PlanLine {
  readonly change: 'added' | 'changed' | 'removed'
  /** "HTTPRoute shop/catalog" */
  readonly object: string
  /** Sentences: "calls to shop/catalog:8080", "sidecars of shop/web". Empty: nobody's sidecar changes. */
  readonly affects: readonly string[]
}

/**
 * In the world as it is. Each change is judged on its own, laid over what is there before, so that its effect is not credited to
 * another. A new Service or Workload affects nobody until it has addresses.
 */
export function plan(before: Model, after: Model): readonly PlanLine[] {
  return changesOf(before.documents, after.documents).map(({ change, object, old, next }) => {
    const rest = before.documents.filter((document) => document !== old)
    const alone = compile(next === undefined ? rest : [...rest, next], before.world)
    return { change, object, affects: [...callDifferences(before, alone), ...workloadDifferences(before, alone)] }
  })
}

interface Change {
  readonly change: PlanLine['change']
  readonly object: string
  readonly old: Loaded | undefined
  readonly next: Loaded | undefined
}

function changesOf(before: readonly Loaded[], after: readonly Loaded[]): Change[] {
  const old = new Map(before.map((document) => [document.name, document]))
  const next = new Map(after.map((document) => [document.name, document]))
  const names = [...new Set([...old.keys(), ...next.keys()])].sort(compareText)
  return names.flatMap((object): Change[] => {
    const pair = { object, old: old.get(object), next: next.get(object) }
    if (pair.old === undefined) return [{ change: 'added', ...pair }]
    if (pair.next === undefined) return [{ change: 'removed', ...pair }]
    const isSame = JSON.stringify(pair.old.resource) === JSON.stringify(pair.next.resource)
    return isSame ? [] : [{ change: 'changed', ...pair }]
  })
}

/** Services whose callers get another configuration or other endpoints, with the namespaces of those callers where not all are. */
function callDifferences(before: Model, after: Model): string[] {
  const namespaces = [...new Set(before.world.pods.map(({ namespace }) => namespace))].sort(compareText)
  return destinationsOf(before.world, [before, after]).flatMap(({ name, key }) => {
    const affected = namespaces.filter(
      (namespace) => describeCalls(before, key, namespace) !== describeCalls(after, key, namespace),
    )
    if (affected.length === 0) return []
    return [affected.length === namespaces.length ? `calls to ${name}` : `calls to ${name} from ${affected.join(', ')}`]
  })
}

function describeCalls(model: Model, key: string, namespace: string): string {
  const destination = model.destination(key, namespace)
  const backends = destination?.backends.map((backend) => [
    model.endpoints(backend.key, 'ipv4'),
    model.endpoints(backend.key, 'ipv6'),
  ])
  return JSON.stringify([destination, backends])
}

/** One address of each service is enough: the other family is configured alike. */
function destinationsOf(world: World, models: readonly Model[]): { name: string; key: string }[] {
  const found = new Map<string, string>()
  for (const { namespace, name, addresses } of world.services) {
    const host = addresses[0]
    if (host === undefined) continue
    for (const port of portsIn(models, namespace, name))
      found.set(`${namespace}/${name}:${port}`, formatAddress({ host, port }))
  }
  return [...found].map(([name, key]) => ({ name, key })).sort((a, b) => compareText(a.name, b.name))
}

function portsIn(models: readonly Model[], namespace: string, name: string): readonly number[] {
  return models.flatMap((model) =>
    model.documents.flatMap(({ resource }) => {
      if (resource.kind !== 'Service' || resource.metadata.namespace !== namespace) return []
      return resource.metadata.name === name ? resource.spec.ports.map(({ port }) => port) : []
    }),
  )
}

function workloadDifferences(before: Model, after: Model): string[] {
  const affected = before.world.pods.filter(
    ({ name }) => JSON.stringify(before.workload(name)) !== JSON.stringify(after.workload(name)),
  )
  const workloads = new Set(affected.map(({ namespace, workload }) => `${namespace}/${workload}`))
  return [...workloads].sort(compareText).map((name) => `sidecars of ${name}`)
}
