// Services and EndpointSlices as the API server has them, cut down to what is compiled. The API server has checked them, so they do
// not pass the schema for files: that one refuses by name what nobody could honour on one machine.
import type { KubeObject } from '#shared/kube/objects.ts'
import type { ServicePort, ServiceResource } from '#shared/resources/service.ts'
import type { WorldEndpoint, WorldSlice } from '#shared/standalone/world.ts'

export interface KubeService {
  readonly resource: ServiceResource
  /** Virtual addresses; none for a headless service. */
  readonly addresses: readonly string[]
  /** Addresses from outside that lead to it too. */
  readonly externalAddresses?: readonly string[]
  /** externalIPs: whoever may write a Service may name any address there. */
  readonly claimedAddresses?: readonly string[]
  /** [30080, 80] */
  readonly nodePorts?: readonly (readonly [number, number])[]
  readonly isLocalOnly?: boolean
}

interface SpecPort extends Omit<ServicePort, 'protocol'> {
  readonly protocol?: string
  readonly nodePort?: number
}

interface ServiceSpec {
  readonly type?: string
  readonly clusterIP?: string
  readonly clusterIPs?: readonly string[]
  readonly selector?: Readonly<Record<string, string>>
  readonly ports?: readonly SpecPort[]
  readonly publishNotReadyAddresses?: boolean
  readonly sessionAffinity?: string
  readonly sessionAffinityConfig?: { readonly clientIP?: { readonly timeoutSeconds?: number } }
  readonly internalTrafficPolicy?: string
  readonly externalIPs?: readonly string[]
  readonly loadBalancerSourceRanges?: readonly string[]
}

interface ServiceStatus {
  readonly loadBalancer?: { readonly ingress?: readonly { readonly ip?: string; readonly ipMode?: string }[] }
}

/** undefined: an alias for a name outside the cluster, or a service without TCP. */
export function readService(object: KubeObject): KubeService | undefined {
  const spec = (object['spec'] ?? {}) as ServiceSpec
  if (spec.type === 'ExternalName') return undefined
  const ports = (spec.ports ?? []).filter(({ protocol = 'TCP' }) => protocol === 'TCP')
  const nodePorts = ports.flatMap(({ nodePort, port }) => (nodePort ? [[nodePort, port] as const] : []))
  if (ports.length === 0 && (spec.ports ?? []).length > 0) return undefined
  const { name = '', namespace = '', creationTimestamp } = object.metadata
  const addresses = spec.clusterIPs ?? (spec.clusterIP === undefined ? [] : [spec.clusterIP])
  return {
    resource: {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name, namespace, labels: {}, annotations: {}, ...(creationTimestamp && { creationTimestamp }) },
      spec: {
        selector: { ...spec.selector },
        ports: ports.map(readPort),
        publishNotReadyAddresses: spec.publishNotReadyAddresses === true,
        ...affinityOf(spec),
      },
    },
    addresses: addresses.filter((address) => address !== 'None' && address !== ''),
    ...(nodePorts.length > 0 && { nodePorts }),
    ...(spec.internalTrafficPolicy === 'Local' && { isLocalOnly: true }),
    ...externalOf(spec, (object['status'] ?? {}) as ServiceStatus),
  }
}

function affinityOf({ sessionAffinity, sessionAffinityConfig }: ServiceSpec): Partial<ServiceResource['spec']> {
  if (sessionAffinity !== 'ClientIP') return {}
  const { timeoutSeconds } = sessionAffinityConfig?.clientIP ?? {}
  return {
    sessionAffinity,
    ...(timeoutSeconds !== undefined && { sessionAffinityConfig: { clientIP: { timeoutSeconds } } }),
  }
}

function readPort({ name, port, targetPort, appProtocol }: SpecPort): ServicePort {
  return {
    port,
    protocol: 'TCP',
    ...(name !== undefined && { name }),
    ...(targetPort !== undefined && { targetPort }),
    ...(appProtocol !== undefined && { appProtocol }),
  }
}

/** Each is a range that every sidecar's question is held against. */
const MOST_CLAIMED = 64

/** What the node would send to the service itself: not what a load balancer wants to see (ipMode Proxy), nor what it filters. */
function externalOf({ externalIPs = [], loadBalancerSourceRanges = [] }: ServiceSpec, { loadBalancer }: ServiceStatus) {
  const ingress = (loadBalancer?.ingress ?? []).filter(({ ipMode = 'VIP' }) => ipMode === 'VIP')
  const balanced = loadBalancerSourceRanges.length > 0 ? [] : ingress.flatMap(({ ip = '' }) => (ip === '' ? [] : [ip]))
  const claimed = externalIPs.slice(0, MOST_CLAIMED)
  return {
    ...(balanced.length > 0 && { externalAddresses: balanced }),
    ...(claimed.length > 0 && { claimedAddresses: claimed }),
  }
}

export interface KubeSlice extends WorldSlice {
  /** "shop/catalog" */
  readonly service: string
}

interface Hint {
  readonly name: string
}

interface SliceEndpoint {
  readonly addresses?: readonly string[]
  readonly conditions?: {
    readonly ready?: boolean | null
    readonly serving?: boolean | null
    readonly terminating?: boolean | null
  }
  readonly nodeName?: string
  readonly hints?: { readonly forNodes?: readonly Hint[] | null; readonly forZones?: readonly Hint[] | null }
  readonly targetRef?: { readonly kind?: string; readonly namespace?: string; readonly name?: string }
}

/** undefined: it belongs to no service, or holds names instead of addresses. */
export function readSlice(object: KubeObject): KubeSlice | undefined {
  const service = object.metadata.labels?.['kubernetes.io/service-name']
  if (service === undefined || object['addressType'] === 'FQDN') return undefined
  const ports = (object['ports'] ?? []) as readonly { name?: string; port?: number; protocol?: string }[]
  const endpoints = (object['endpoints'] ?? []) as readonly SliceEndpoint[]
  return {
    service: `${object.metadata.namespace}/${service}`,
    ports: ports.flatMap(({ name = '', port, protocol = 'TCP' }) =>
      port === undefined || port === null || protocol !== 'TCP' ? [] : [{ name, port }],
    ),
    endpoints: endpoints.map((endpoint) => readEndpoint(endpoint, object.metadata.namespace ?? '')),
  }
}

/** What is left out counts as yes for ready, as ready for serving and as no for terminating (EndpointConditions of discovery/v1). */
function readEndpoint(endpoint: SliceEndpoint, namespace: string): WorldEndpoint {
  const { addresses, conditions = {}, targetRef, nodeName } = endpoint
  const ready = conditions.ready ?? true
  return {
    addresses: addresses ?? [],
    pod: targetRef?.kind === 'Pod' ? `${targetRef.namespace ?? namespace}/${targetRef.name}` : null,
    ready,
    serving: conditions.serving ?? ready,
    terminating: conditions.terminating ?? false,
    ...(nodeName && { node: nodeName }),
    ...hintsOf(endpoint),
  }
}

function hintsOf({ hints }: SliceEndpoint): Pick<WorldEndpoint, 'forNodes' | 'forZones'> {
  const names = (list: readonly Hint[] | null | undefined) => (list ?? []).map(({ name }) => name)
  const [forNodes, forZones] = [names(hints?.forNodes), names(hints?.forZones)]
  return { ...(forNodes.length > 0 && { forNodes }), ...(forZones.length > 0 && { forZones }) }
}
