// From documents to a plan: every pod with its addresses, command and identity, every service with its virtual addresses.
// Pure: the same documents and ranges give the same plan.
import { formatSpiffeId, type SpiffeId } from '#shared/identity/spiffe-id.ts'
import { parsePortRanges, parseSubnets } from '#shared/pod/annotation-values.ts'
import type { RedirectOptions } from '#shared/pod/redirect.ts'
import { type Loaded, ofKind } from '#shared/resources/load.ts'
import type { MeshResource } from '#shared/resources/mesh.ts'
import type { ServiceResource } from '#shared/resources/service.ts'
import type { Probe, WorkloadResource } from '#shared/resources/workload.ts'
import { parseDuration } from '#shared/settings.ts'
import { Failure } from '../failure.ts'
import { type Interface, podNamespace } from './namespaces.ts'
import { addressAt, type Ranges } from './ranges.ts'

const DEFAULT_MESH = 'weft'
const DEFAULT_TRUST_DOMAIN = 'weft.local'

export interface PodPlan {
  /** WORKLOAD-ORDINAL */
  readonly name: string
  readonly namespace: string
  readonly workload: string
  readonly ordinal: number
  readonly serviceAccount: string
  readonly identity: SpiffeId
  readonly labels: Readonly<Record<string, string>>
  readonly isMeshed: boolean
  /** Counts all pods of the mesh from 0. */
  readonly index: number
  readonly interfaces: readonly Interface[]
  readonly addresses: readonly string[]
  readonly networkNamespace: string
  readonly command: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly workingDirectory: string | undefined
  readonly user: { readonly uid: number | undefined; readonly gid: number | undefined }
  readonly readiness: Probe | undefined
  readonly liveness: Probe | undefined
  readonly graceMs: number
  readonly redirect: RedirectOptions
}

export interface ServicePlan {
  readonly name: string
  readonly namespace: string
  readonly addresses: readonly string[]
  readonly ports: readonly number[]
  /** Names of the pods that the selector takes. */
  readonly pods: readonly string[]
}

export interface MeshPlan {
  readonly name: string
  readonly trustDomain: string
  readonly ranges: Ranges
  readonly gateways: readonly Interface[]
  readonly pods: readonly PodPlan[]
  readonly services: readonly ServicePlan[]
}

/** What a document without a Mesh means. */
export function meshOf(documents: readonly Loaded[]): { name: string; spec: Partial<MeshResource['spec']> } {
  const mesh = ofKind(documents, 'Mesh')[0]
  return { name: mesh?.metadata.name ?? DEFAULT_MESH, spec: mesh?.spec ?? {} }
}

/** Throws a Failure when the ranges have too few addresses. */
export function planMesh(documents: readonly Loaded[], ranges: Ranges): MeshPlan {
  const { name, spec } = meshOf(documents)
  const trustDomain = spec.trustDomain ?? DEFAULT_TRUST_DOMAIN
  try {
    const at = (index: number): Interface[] =>
      ranges.pods.map((range) => ({ address: addressAt(range, index), bits: range.bits }))
    let index = 0
    const pods = ofKind(documents, 'Workload').flatMap((workload) =>
      Array.from({ length: workload.spec.replicas }, (_, ordinal) => {
        // The first address is the gateway's.
        const interfaces = at(index + 2)
        return planPod(workload, { mesh: name, trustDomain, ordinal, index: index++, interfaces })
      }),
    )
    const services = ofKind(documents, 'Service').map((service, number) => ({
      name: service.metadata.name,
      namespace: service.metadata.namespace,
      addresses: ranges.services.map((range) => addressAt(range, number + 1)),
      ports: service.spec.ports.map(({ port }) => port),
      pods: pods.filter((pod) => isSelected(service, pod)).map((pod) => pod.name),
    }))
    return { name, trustDomain, ranges, gateways: at(1), pods, services }
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    throw Failure.from(error, error.message, 'Give the Mesh larger ranges: spec.podCIDRs and spec.serviceCIDRs.')
  }
}

interface PodPlace {
  readonly mesh: string
  readonly trustDomain: string
  readonly ordinal: number
  readonly index: number
  readonly interfaces: readonly Interface[]
}

function planPod({ metadata, spec }: WorkloadResource, place: PodPlace): PodPlan {
  const name = `${metadata.name}-${place.ordinal}`
  const { namespace } = metadata
  const { serviceAccount } = spec
  return {
    name,
    namespace,
    workload: metadata.name,
    ordinal: place.ordinal,
    serviceAccount,
    identity: formatSpiffeId({ trustDomain: place.trustDomain, namespace, serviceAccount }),
    labels: metadata.labels,
    isMeshed: spec.inject,
    index: place.index,
    interfaces: place.interfaces,
    addresses: place.interfaces.map(({ address }) => address),
    networkNamespace: podNamespace(place.mesh, name),
    command: spec.command,
    env: spec.env,
    workingDirectory: spec.workingDir,
    user: { uid: spec.securityContext?.runAsUser, gid: spec.securityContext?.runAsGroup },
    readiness: spec.readinessProbe,
    liveness: spec.livenessProbe,
    graceMs: parseDuration(spec.terminationGracePeriod) ?? 30_000,
    redirect: redirectOptions(metadata.annotations),
  }
}

function redirectOptions(annotations: Readonly<Record<string, string>>): RedirectOptions {
  const ports = (key: string) =>
    (parsePortRanges(annotations[`config.weft.dev/${key}`] ?? '') ?? []).map(({ from, to }) =>
      from === to ? from : ([from, to] as const),
    )
  return {
    skipInboundPorts: ports('skip-inbound-ports'),
    skipOutboundPorts: ports('skip-outbound-ports'),
    skipOutboundCIDRs: parseSubnets(annotations['config.weft.dev/skip-subnets'] ?? '') ?? [],
  }
}

function isSelected({ metadata, spec }: ServiceResource, pod: PodPlan): boolean {
  if (pod.namespace !== metadata.namespace) return false
  return Object.entries(spec.selector).every(([key, value]) => pod.labels[key] === value)
}
