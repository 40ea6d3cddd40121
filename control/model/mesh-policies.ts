// What holds for a pod: mTLS mode, tracing, access log, engine. Per field the most specific MeshPolicy wins; among equals the older, then by name.
import { isIPv6 } from 'node:net'
import type { MtlsMode, ObjectRef, WorkloadConfig } from '#shared/decide/config.ts'
import type { PortSpan } from '#shared/pod/annotation-values.ts'
import { type Loaded, ofKind } from '#shared/resources/load.ts'
import { MESH_NAMESPACE, type MeshPolicyResource } from '#shared/resources/mesh-policy.ts'
import type { World, WorldPod } from '#shared/standalone/world.ts'
import { hasLabels, type PortDefaults } from './inventory.ts'
import { accepted, byAge, type Condition, describeRef, type ObjectStatus, refOf } from './status.ts'

interface MeshSettings {
  readonly 'mtls.mode'?: MtlsMode
  readonly 'tracing.endpoint'?: string
  readonly 'tracing.protocol'?: 'grpc' | 'http'
  readonly 'tracing.samplingPercent'?: number
  readonly 'tracing.propagators'?: WorkloadConfig['tracing']['propagators']
  readonly 'accessLog.enabled'?: boolean
  readonly 'compat.ports'?: readonly PortRange[]
}
type Field = keyof MeshSettings

interface PortRange {
  readonly port: number
  readonly endPort?: number | undefined
}

export interface PodSettings extends Pick<WorkloadConfig, 'mtls' | 'tracing' | 'accessLog'>, PortDefaults {
  /** The policies that set something. */
  readonly from: readonly ObjectRef[]
}

export interface MeshPolicies {
  of(pod: WorldPod): PodSettings
  readonly statuses: readonly ObjectStatus[]
}

/** 0: the mesh, 1: a namespace, 2: workloads of the mesh, 3: workloads of a namespace. */
type Specificity = (policy: MeshPolicyResource) => number

const specificityIn =
  (own: string): Specificity =>
  ({ metadata, spec }) =>
    (spec.selector === undefined ? 0 : 2) + (metadata.namespace === own ? 0 : 1)

function actsOn({ metadata, spec }: MeshPolicyResource, pod: WorldPod, own: string): boolean {
  if (metadata.namespace !== own && metadata.namespace !== pod.namespace) return false
  return spec.selector === undefined || hasLabels(pod.labels, spec.selector.matchLabels)
}

export function compileMeshPolicies(documents: readonly Loaded[], world: World): MeshPolicies {
  const own = world.mesh.systemNamespace ?? MESH_NAMESPACE
  const specificityOf = specificityIn(own)
  const ordered = ofKind(documents, 'MeshPolicy').toSorted((a, b) => specificityOf(b) - specificityOf(a) || byAge(a, b))
  const lost = new Map<MeshPolicyResource, string>()
  const chosen = new Map<string, PodSettings>()
  // Pods are many and differ little: what holds for them follows from which policies act, not from the pod.
  const bySet = new Map<string, PodSettings>()
  for (const pod of world.pods) {
    const acting = ordered.filter((policy) => actsOn(policy, pod, own))
    const key = acting.map((policy) => ordered.indexOf(policy)).join()
    let settings = bySet.get(key)
    if (settings === undefined) {
      for (const [loser, message] of conflictsAmong(acting, specificityOf)) lost.set(loser, message)
      settings = choose(acting, world)
      bySet.set(key, settings)
    }
    chosen.set(pod.name, settings)
  }
  return {
    of: (pod) => chosen.get(pod.name) ?? choose([], world),
    statuses: ordered.map((policy) => ({
      object: refOf(policy),
      ancestor: '',
      conditions: [conditionOf(lost.get(policy))],
    })),
  }
}

function fieldsOf({ spec }: MeshPolicyResource): [Field, unknown][] {
  const fields: { readonly [K in Field]: unknown } = {
    'mtls.mode': spec.mtls?.mode,
    'tracing.endpoint': spec.tracing?.endpoint,
    'tracing.protocol': spec.tracing?.protocol,
    'tracing.samplingPercent': spec.tracing?.samplingPercent,
    'tracing.propagators': spec.tracing?.propagators,
    'accessLog.enabled': spec.accessLog?.enabled,
    'compat.ports': spec.compat?.ports,
  }
  return (Object.entries(fields) as [Field, unknown][]).filter(([, value]) => value !== undefined)
}

/** `acting` has the winner of a field first. Only a rival of the same specificity is a conflict: the rest is how it is meant. */
function conflictsAmong(
  acting: readonly MeshPolicyResource[],
  specificityOf: Specificity,
): Map<MeshPolicyResource, string> {
  const conflicts = new Map<MeshPolicyResource, string>()
  const winners = new Map<Field, MeshPolicyResource>()
  for (const policy of acting) {
    const lost: string[] = []
    for (const [field] of fieldsOf(policy)) {
      const winner = winners.get(field)
      if (winner === undefined) winners.set(field, policy)
      else if (specificityOf(winner) === specificityOf(policy))
        lost.push(`spec.${field} is set by ${describeRef(refOf(winner))}`)
    }
    if (lost.length > 0) conflicts.set(policy, lost.join('; '))
  }
  return conflicts
}

function conditionOf(lost: string | undefined): Condition {
  if (lost === undefined) return accepted
  const message = `${lost}, which is as specific and older or first by name; other fields are in force`
  return { type: 'Accepted', status: false, reason: 'Conflicted', message }
}

function choose(acting: readonly MeshPolicyResource[], world: World): PodSettings {
  const found = new Map<Field, unknown>()
  const from = new Set<MeshPolicyResource>()
  for (const policy of acting) {
    for (const [field, value] of fieldsOf(policy)) {
      if (found.has(field)) continue
      found.set(field, value)
      from.add(policy)
    }
  }
  const settings: MeshSettings = Object.fromEntries(found)
  return {
    mtls: settings['mtls.mode'] ?? 'Strict',
    tracing: tracingOf(settings, world),
    accessLog: settings['accessLog.enabled'] ?? false,
    compatPorts: spansOf(settings['compat.ports']),
    from: [...from].map(refOf),
  }
}

function spansOf(ranges: readonly PortRange[] = []): readonly PortSpan[] {
  return ranges.map(({ port, endPort }) => ({ from: port, to: endPort ?? port }))
}

/** Without a word about it spans go to control, which keeps the last ones for `weft traces`. */
function tracingOf(settings: MeshSettings, world: World): WorkloadConfig['tracing'] {
  const endpoint = settings['tracing.endpoint']
  const isHttpPort = endpoint !== undefined && URL.parse(endpoint)?.port === '4318'
  const protocol = settings['tracing.protocol'] ?? (isHttpPort ? 'http' : 'grpc')
  return {
    endpoint: endpoint ?? receiverOf(world, protocol),
    protocol,
    samplingPercent: settings['tracing.samplingPercent'] ?? 5,
    propagators: settings['tracing.propagators'] ?? ['tracecontext', 'baggage'],
  }
}

function receiverOf(world: World, protocol: 'grpc' | 'http'): string | null {
  const gateway = world.mesh.gateways[0]
  if (gateway === undefined) return null
  return `http://${isIPv6(gateway) ? `[${gateway}]` : gateway}:${protocol === 'grpc' ? 4317 : 4318}`
}
