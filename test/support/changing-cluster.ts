// Changes of a small cluster in which much meets: few names, labels and addresses, so that objects refer to each other and quarrel.
import fc from 'fast-check'
import type { KubeObject } from '#shared/kube/objects.ts'
import { type KubeDocument, readGrant, readPolicy, readRoute } from '../../control/watch/kubernetes-documents.ts'
import { readNode } from '../../control/watch/kubernetes-nodes.ts'
import { readPod } from '../../control/watch/kubernetes-pods.ts'
import { readService, readSlice } from '../../control/watch/kubernetes-services.ts'
import type { KubeObjects } from '../../control/watch/kubernetes-world.ts'

export type Cluster = KubeObjects

export const NAMESPACES = ['shop', 'front', 'weft-system']
export const NAMES = ['one', 'two', 'weft-control']
export const PORTS = [80, 81, 8080, 30080]
export const HOSTS = ['10.96.0.1', '10.96.0.2', '10.244.0.1', '10.244.0.2', '10.245.0.1', '8.8.8.8', '192.168.0.1']
export const NODES = ['n1', 'n2']

const MAPS = ['services', 'slices', 'pods', 'nodes', 'grants'] as const
const NONE = new Map()
export const EMPTY_CLUSTER: Cluster = {
  services: NONE,
  slices: NONE,
  pods: NONE,
  nodes: NONE,
  grants: NONE,
  documents: [NONE, NONE, NONE],
}

interface Change {
  to(cluster: Cluster): Cluster
}

const name = fc.constantFrom(...NAMES)
const namespace = fc.constantFrom(...NAMESPACES)
const host = fc.constantFrom(...HOSTS)
const port = fc.constantFrom(...PORTS)
const node = fc.constantFrom(...NODES)
const zone = fc.constantFrom('a', 'b')
const labels = fc.dictionary(fc.constantFrom('app', 'tier'), fc.constantFrom('x', 'y'), {
  noNullPrototype: true,
  maxKeys: 2,
})
const creationTimestamp = fc.constantFrom('2026-01-01T00:00:00Z', '2026-01-02T00:00:00Z')
const maybe = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined })
const metadata = fc.record({ name, namespace, creationTimestamp, generation: fc.constant(1) })

const servicePort = fc.record(
  {
    name: fc.constantFrom('http', 'tcp-x', 'plain'),
    port,
    targetPort: fc.constantFrom<(string | number)[]>(8080, 8081, 'web'),
    nodePort: fc.constantFrom(30080, 30081),
    appProtocol: fc.constantFrom('kubernetes.io/h2c', 'http'),
  },
  { requiredKeys: ['port'] },
)

const service = fc.record({
  metadata,
  spec: fc.record(
    {
      selector: labels,
      clusterIPs: fc.uniqueArray(host, { maxLength: 2 }),
      ports: fc.uniqueArray(servicePort, { selector: (one) => one.port, minLength: 1, maxLength: 2 }),
      publishNotReadyAddresses: fc.boolean(),
      sessionAffinity: fc.constantFrom('None', 'ClientIP'),
      internalTrafficPolicy: fc.constantFrom('Cluster', 'Local'),
      externalIPs: fc.array(host, { maxLength: 1 }),
    },
    { requiredKeys: ['ports'] },
  ),
  status: fc.record({ loadBalancer: fc.record({ ingress: fc.array(fc.record({ ip: host }), { maxLength: 1 }) }) }),
})

const pod = fc.record({
  metadata: fc.record({
    name,
    namespace,
    labels,
    annotations: fc.dictionary(
      fc.constantFrom(
        'config.weft.dev/opaque-ports',
        'config.weft.dev/skip-inbound-ports',
        'config.weft.dev/compat-ports',
      ),
      fc.constantFrom('8080', '80-90'),
      { noNullPrototype: true },
    ),
    deletionTimestamp: maybe(creationTimestamp),
  }),
  spec: fc.record({
    serviceAccountName: fc.constantFrom('a', 'b'),
    hostNetwork: fc.boolean(),
    nodeName: maybe(node),
    containers: fc.constant([{ name: 'app', ports: [{ name: 'web', containerPort: 8080 }] }]),
    initContainers: fc.constantFrom([], [{ name: 'weft-proxy' }]),
  }),
  status: fc.record({
    phase: fc.constantFrom('Running', 'Running', 'Succeeded'),
    podIPs: fc.array(fc.record({ ip: host }), { maxLength: 1 }),
    conditions: fc.constantFrom([], [{ type: 'Ready', status: 'True' }]),
  }),
})

const hints = fc.record(
  {
    forZones: fc.array(fc.record({ name: zone }), { maxLength: 1 }),
    forNodes: fc.array(fc.record({ name: node }), { maxLength: 1 }),
  },
  { requiredKeys: [] },
)
const sliceEndpoint = fc.record({
  addresses: fc.tuple(host),
  conditions: fc.record(
    { ready: fc.boolean(), serving: fc.boolean(), terminating: fc.boolean() },
    { requiredKeys: [] },
  ),
  nodeName: maybe(node),
  hints: maybe(hints),
  targetRef: maybe(fc.record({ kind: fc.constant('Pod'), name })),
})
const slice = fc.record({
  metadata: fc.record({ name, namespace, labels: fc.record({ 'kubernetes.io/service-name': name }) }),
  addressType: fc.constant('IPv4'),
  ports: fc.array(fc.record({ name: fc.constantFrom('', 'http', 'plain'), port: fc.constantFrom(8080, 8081) }), {
    maxLength: 2,
  }),
  endpoints: fc.array(sliceEndpoint, { maxLength: 3 }),
})

const worldNode = fc.record({
  metadata: fc.record({ name: node, labels: fc.record({ 'topology.kubernetes.io/zone': zone }) }),
  status: fc.record({ addresses: fc.tuple(fc.record({ type: fc.constant('InternalIP'), address: host })) }),
})

const grant = fc.record({
  metadata: fc.record({ name, namespace }),
  spec: fc.record({
    from: fc.tuple(
      fc.record({ group: fc.constant('gateway.networking.k8s.io'), kind: fc.constant('HTTPRoute'), namespace }),
    ),
    to: fc.tuple(fc.record({ group: fc.constant(''), kind: fc.constant('Service'), name: maybe(name) })),
  }),
})

const serviceRef = fc.record(
  { group: fc.constant(''), kind: fc.constant('Service'), name, namespace, port },
  { requiredKeys: ['group', 'kind', 'name'] },
)
const rule = fc.record(
  {
    matches: fc.tuple(
      fc.record({ path: fc.record({ type: fc.constant('PathPrefix'), value: fc.constantFrom('/', '/a') }) }),
    ),
    backendRefs: fc.array(fc.record({ name, namespace: maybe(namespace), port, weight: fc.constant(1) }), {
      maxLength: 2,
    }),
    timeouts: fc.record({ request: fc.constantFrom('1s', '2s') }),
    // Not supported: the whole route is refused.
    filters: fc.constant([{ type: 'URLRewrite' }]),
  },
  { requiredKeys: [] },
)
const route = fc.record({
  metadata,
  spec: fc.record({
    parentRefs: fc.array(serviceRef, { maxLength: 2 }),
    rules: fc.array(rule, { minLength: 1, maxLength: 2 }),
  }),
})

const targetRef = fc.oneof(
  fc.record({ group: fc.constant(''), kind: fc.constant('Service'), name }),
  fc.record({ group: fc.constant('gateway.networking.k8s.io'), kind: fc.constant('HTTPRoute'), name }),
)
const trafficPolicy = fc.record({
  metadata,
  spec: fc.record(
    {
      targetRefs: fc.array(targetRef, { minLength: 1, maxLength: 2 }),
      timeouts: fc.record({ request: fc.constantFrom('1s', '2s') }),
      retries: fc.record({ attempts: fc.constantFrom(1, 3) }),
      loadBalancing: fc.record({ algorithm: fc.constantFrom('RoundRobin', 'LeastRequest') }),
    },
    { requiredKeys: ['targetRefs'] },
  ),
})
const meshPolicy = fc.record({
  metadata,
  spec: fc.record(
    {
      selector: fc.record({ matchLabels: fc.record({ app: fc.constantFrom('x', 'y') }) }),
      mtls: fc.record({ mode: fc.constantFrom('Strict', 'Permissive', 'Disabled') }),
      accessLog: fc.record({ enabled: fc.boolean() }),
      tracing: fc.record({ samplingPercent: fc.constantFrom(1, 50) }),
      compat: fc.record({ ports: fc.constantFrom([{ port: 8080 }], [{ port: 80, endPort: 90 }]) }),
    },
    { requiredKeys: [] },
  ),
})

const KINDS: readonly [fc.Arbitrary<object>, (object: KubeObject) => unknown, (typeof MAPS)[number] | number][] = [
  [service, readService, 'services'],
  [slice, readSlice, 'slices'],
  [pod, readPod, 'pods'],
  [worldNode, readNode, 'nodes'],
  [grant, readGrant, 'grants'],
  [route, readRoute, 0],
  [trafficPolicy, readPolicy('TrafficPolicy'), 1],
  [meshPolicy, readPolicy('MeshPolicy'), 2],
]

const keyOf = ({ metadata: { namespace: home, name: own } }: KubeObject) =>
  home === undefined ? `${own}` : `${home}/${own}`

/** One object comes, changes, or goes, as an informer tells it: the maps of the other kinds stay the same. */
export const anyChange: fc.Arbitrary<Change> = fc.oneof(
  ...KINDS.map(([kind, read, place]) =>
    fc.tuple(kind, fc.integer({ min: 0, max: 3 })).map(([object, dice]) => ({
      to: (cluster: Cluster) =>
        laid(cluster, place, keyOf(object as KubeObject), dice === 0 ? undefined : read(object as KubeObject)),
      toString: () => `${dice === 0 ? 'without' : 'with'} ${JSON.stringify(object)} in ${place}`,
    })),
  ),
)

function laid(cluster: Cluster, place: (typeof MAPS)[number] | number, key: string, value: unknown): Cluster {
  const change = <T>(map: ReadonlyMap<string, T>): ReadonlyMap<string, T> => {
    const next = new Map(map)
    if (value === undefined) next.delete(key)
    else next.set(key, value as T)
    return next
  }
  if (typeof place === 'string') return { ...cluster, [place]: change<unknown>(cluster[place]) }
  const documents = cluster.documents.map((map, index) => (index === place ? change<KubeDocument>(map) : map))
  return { ...cluster, documents }
}
