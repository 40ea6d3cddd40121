// What holds for a pod: mTLS mode, tracing, access log, engine. Per field the most specific MeshPolicy wins; among equals the older, then by name.
import { isIPv6 } from 'node:net'
import type { MtlsMode, ObjectRef, WorkloadConfig } from '#shared/decide/config.ts'
import type { PortSpan } from '#shared/pod/annotation-values.ts'
import type { MeshPolicyResource } from '#shared/resources/mesh-policy.ts'
import type { WorldPod } from '#shared/standalone/world.ts'
import { allOf, type Documents, type Facts, likenessOf, readLikeness } from './facts.ts'
import { hasLabels, type PortDefaults } from './inventory.ts'
import { accepted, byAge, type Condition, describeRef, type ObjectStatus, refOf } from './status.ts'
import type { Remember } from './tracked.ts'

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
  of(pod: Pick<WorldPod, 'namespace' | 'labels'>): PodSettings
  /** Of one policy, "MeshPolicy shop/open"; of what is none nothing. */
  statusesOf(policy: string): readonly ObjectStatus[]
}

/** 0: the mesh, 1: a namespace, 2: workloads of the mesh, 3: workloads of a namespace. */
type Specificity = (policy: MeshPolicyResource) => number

const specificityIn =
  (own: string): Specificity =>
  ({ metadata, spec }) =>
    (spec.selector === undefined ? 0 : 2) + (metadata.namespace === own ? 0 : 1)

function actsOn(
  { metadata, spec }: MeshPolicyResource,
  pod: Pick<WorldPod, 'namespace' | 'labels'>,
  own: string,
): boolean {
  if (metadata.namespace !== own && metadata.namespace !== pod.namespace) return false
  return spec.selector === undefined || hasLabels(pod.labels, spec.selector.matchLabels)
}

export interface MeshPolicyParts {
  readonly documents: Documents
  readonly facts: Facts
}

/** How a policy of these lost, a sentence for each field. */
type Lost = ReadonlyMap<MeshPolicyResource, readonly string[]>

export function compileMeshPolicies({ documents, facts }: MeshPolicyParts, remember: Remember): MeshPolicies {
  const own = facts.options.systemNamespace
  const specificityOf = specificityIn(own)
  const ordered = remember(() =>
    allOf(documents, 'MeshPolicy').toSorted((a, b) => specificityOf(b) - specificityOf(a) || byAge(a, b)),
  )
  // Pods are many and differ little: what holds for them follows from which policies act, not from the pod.
  const alike = remember((likeness): { readonly settings: PodSettings; readonly lost: Lost } => {
    const pod = readLikeness(likeness)
    const acting = ordered.get('').filter((policy) => actsOn(policy, pod, own))
    return { settings: choose(acting, facts), lost: conflictsAmong(acting, specificityOf) }
  })
  const told = remember(() => {
    const policies = ordered.get('')
    const lost = policies.length < 2 ? [] : facts.pods.keys('likeness').map((likeness) => alike.get(likeness).lost)
    return new Map(policies.map((policy) => [describeRef(refOf(policy)), statusOf(policy, lost)]))
  })
  return {
    of: (pod) => alike.get(likenessOf(pod)).settings,
    statusesOf: (policy) => told.get('').get(policy) ?? [],
  }
}

function statusOf(policy: MeshPolicyResource, lost: readonly Lost[]): readonly ObjectStatus[] {
  const fields = new Set(lost.flatMap((one) => one.get(policy) ?? []))
  return [{ object: refOf(policy), ancestor: '', conditions: [conditionOf([...fields].sort())] }]
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
function conflictsAmong(acting: readonly MeshPolicyResource[], specificityOf: Specificity): Lost {
  const conflicts = new Map<MeshPolicyResource, readonly string[]>()
  const winners = new Map<Field, MeshPolicyResource>()
  for (const policy of acting) {
    const lost: string[] = []
    for (const [field] of fieldsOf(policy)) {
      const winner = winners.get(field)
      if (winner === undefined) winners.set(field, policy)
      else if (specificityOf(winner) === specificityOf(policy))
        lost.push(`spec.${field} is set by ${describeRef(refOf(winner))}`)
    }
    if (lost.length > 0) conflicts.set(policy, lost)
  }
  return conflicts
}

function conditionOf(lost: readonly string[]): Condition {
  if (lost.length === 0) return accepted
  const message = `${lost.join('; ')}, which is as specific and older or first by name; other fields are in force`
  return { type: 'Accepted', status: false, reason: 'Conflicted', message }
}

function choose(acting: readonly MeshPolicyResource[], facts: Facts): PodSettings {
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
    tracing: tracingOf(settings, facts),
    accessLog: settings['accessLog.enabled'] ?? false,
    compatPorts: spansOf(settings['compat.ports']),
    from: [...from].map(refOf),
  }
}

function spansOf(ranges: readonly PortRange[] = []): readonly PortSpan[] {
  return ranges.map(({ port, endPort }) => ({ from: port, to: endPort ?? port }))
}

/** Without a word about it spans go to control, which keeps the last ones for `weft traces`. */
function tracingOf(settings: MeshSettings, facts: Facts): WorkloadConfig['tracing'] {
  const endpoint = settings['tracing.endpoint']
  const isHttpPort = endpoint !== undefined && URL.parse(endpoint)?.port === '4318'
  const protocol = settings['tracing.protocol'] ?? (isHttpPort ? 'http' : 'grpc')
  return {
    endpoint: endpoint ?? receiverOf(facts, protocol),
    protocol,
    samplingPercent: settings['tracing.samplingPercent'] ?? 5,
    propagators: settings['tracing.propagators'] ?? ['tracecontext', 'baggage'],
  }
}

function receiverOf(facts: Facts, protocol: 'grpc' | 'http'): string | null {
  const gateway = facts.gateways()[0]
  if (gateway === undefined) return null
  return `http://${isIPv6(gateway) ? `[${gateway}]` : gateway}:${protocol === 'grpc' ? 4317 : 4318}`
}
