// What an API server says of any object, and where each kind that Weft touches is served. No I/O.

export interface ObjectMeta {
  readonly name?: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly annotations?: Readonly<Record<string, string>>
  readonly ownerReferences?: readonly {
    readonly apiVersion?: string
    readonly kind?: string
    readonly name?: string
    readonly uid?: string
    readonly controller?: boolean
  }[]
}

/** `spec`, `status` and the rest are looked at by whoever knows the kind. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

export interface KubeKind {
  /** Empty: the core group. */
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly isNamespaced: boolean
}

export interface ObjectName {
  readonly namespace?: string
  readonly name: string
}

const kind = (group: string, version: string, plural: string, name: string, isNamespaced = true): KubeKind => ({
  group,
  version,
  plural,
  kind: name,
  isNamespaced,
})

export const NAMESPACES = kind('', 'v1', 'namespaces', 'Namespace', false)
export const SECRETS = kind('', 'v1', 'secrets', 'Secret')
export const CONFIG_MAPS = kind('', 'v1', 'configmaps', 'ConfigMap')
export const EVENTS = kind('', 'v1', 'events', 'Event')
export const SERVICES = kind('', 'v1', 'services', 'Service')
export const NODES = kind('', 'v1', 'nodes', 'Node', false)
export const PODS = kind('', 'v1', 'pods', 'Pod')
export const ENDPOINT_SLICES = kind('discovery.k8s.io', 'v1', 'endpointslices', 'EndpointSlice')
export const LEASES = kind('coordination.k8s.io', 'v1', 'leases', 'Lease')
export const CLUSTER_ROLES = kind('rbac.authorization.k8s.io', 'v1', 'clusterroles', 'ClusterRole', false)
export const CUSTOM_RESOURCES = kind(
  'apiextensions.k8s.io',
  'v1',
  'customresourcedefinitions',
  'CustomResourceDefinition',
  false,
)
const webhooks = (plural: string, name: string) => kind('admissionregistration.k8s.io', 'v1', plural, name, false)
export const MUTATING_WEBHOOKS = webhooks('mutatingwebhookconfigurations', 'MutatingWebhookConfiguration')
export const VALIDATING_WEBHOOKS = webhooks('validatingwebhookconfigurations', 'ValidatingWebhookConfiguration')
export const HTTP_ROUTES = kind('gateway.networking.k8s.io', 'v1', 'httproutes', 'HTTPRoute')
/** Not v1, which the Gateway API has since 1.5 only. */
export const REFERENCE_GRANTS = kind('gateway.networking.k8s.io', 'v1beta1', 'referencegrants', 'ReferenceGrant')
export const TRAFFIC_POLICIES = kind('weft.dev', 'v1alpha1', 'trafficpolicies', 'TrafficPolicy')
export const MESH_POLICIES = kind('weft.dev', 'v1alpha1', 'meshpolicies', 'MeshPolicy')

export const apiVersionOf = ({ group, version }: KubeKind): string => (group === '' ? version : `${group}/${version}`)

/** "/apis/weft.dev/v1alpha1/namespaces/shop/trafficpolicies/quick"; without a name: of them all. */
export function pathOf(of: KubeKind, at: Partial<ObjectName> = {}): string {
  const root = of.group === '' ? `/api/${of.version}` : `/apis/${of.group}/${of.version}`
  const namespace =
    of.isNamespaced && at.namespace !== undefined ? `/namespaces/${encodeURIComponent(at.namespace)}` : ''
  return `${root}${namespace}/${of.plural}${at.name === undefined ? '' : `/${encodeURIComponent(at.name)}`}`
}

/** "shop/catalog", or "catalog" for an object in no namespace. */
export function keyOf({ namespace, name }: Partial<ObjectName>): string {
  return namespace === undefined ? `${name}` : `${namespace}/${name}`
}
