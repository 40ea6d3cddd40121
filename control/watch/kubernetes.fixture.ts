// Objects as an API server has them, for the tests of what is made of them.
import { type KubeObject, keyOf } from '#shared/kube/objects.ts'
import { compile, type Model } from '../model/compile.ts'
import { readRoute } from './kubernetes-documents.ts'
import { readNode } from './kubernetes-nodes.ts'
import { readPod } from './kubernetes-pods.ts'
import { readService, readSlice } from './kubernetes-services.ts'
import { toDocuments, toWorld } from './kubernetes-world.ts'

export const FACTS = { trustDomain: 'weft.test', systemNamespace: 'weft-system', controlService: 'weft-control' }

export interface Objects {
  readonly services: readonly KubeObject[]
  readonly pods?: readonly KubeObject[]
  readonly slices?: readonly KubeObject[]
  readonly nodes?: readonly KubeObject[]
  readonly routes?: readonly KubeObject[]
}

/** What is made of these objects, without an API server in between. */
export function modelOf({ services, pods = [], slices = [], nodes = [], routes = [] }: Objects): Model {
  const read = <T>(objects: readonly KubeObject[], project: (object: KubeObject) => T | undefined) =>
    new Map(
      objects.flatMap((object) => {
        const value = project(object)
        return value === undefined ? [] : [[keyOf(object.metadata), value] as const]
      }),
    )
  const objects = {
    services: read(services, readService),
    pods: read(pods, readPod),
    slices: read(slices, readSlice),
    nodes: read(nodes, readNode),
    grants: new Map(),
    documents: [read(routes, readRoute)],
  }
  return compile(toDocuments(objects), toWorld(objects, FACTS))
}

export const service = (spec: object = {}, name = 'catalog'): KubeObject => ({
  metadata: { namespace: 'shop', name },
  spec: {
    type: 'ClusterIP',
    clusterIP: '10.96.0.7',
    clusterIPs: ['10.96.0.7', 'fd00:96::7'],
    selector: { app: name },
    ports: [{ name: 'http', port: 80, targetPort: 'web', protocol: 'TCP' }],
    sessionAffinity: 'None',
    internalTrafficPolicy: 'Cluster',
    ipFamilies: ['IPv4', 'IPv6'],
    ...spec,
  },
  status: { loadBalancer: {} },
})

const CONTAINER = { name: 'app', ports: [{ name: 'web', containerPort: 8080 }] }
export const pod = (name: string, host: number, { spec = {}, metadata = {}, isReady = true } = {}): KubeObject => ({
  metadata: { namespace: 'shop', name, labels: { app: 'catalog' }, ...metadata },
  spec: { serviceAccountName: 'catalog', containers: [CONTAINER], initContainers: [{ name: 'weft-proxy' }], ...spec },
  status: {
    phase: 'Running',
    podIP: `10.244.0.${host}`,
    podIPs: [{ ip: `10.244.0.${host}` }, { ip: `fd00:244::${host}` }],
    conditions: [{ type: 'Ready', status: isReady ? 'True' : 'False' }],
  },
})

export const node = (name: string, zone?: string, ...addresses: string[]): KubeObject => ({
  metadata: { name, labels: zone === undefined ? {} : { 'topology.kubernetes.io/zone': zone } },
  status: { addresses: addresses.map((address) => ({ type: 'InternalIP', address })) },
})

const READY = { ready: true, serving: true, terminating: false }
export interface SliceEndpoint {
  readonly name?: string
  readonly host: string
  readonly conditions?: object
  readonly node?: string
  readonly hints?: object
}
export const slice = (endpoints: readonly SliceEndpoint[], name = 'catalog-x', port = 8080): KubeObject => ({
  metadata: { namespace: 'shop', name, labels: { 'kubernetes.io/service-name': 'catalog' } },
  addressType: 'IPv4',
  ports: [{ name: 'http', port, protocol: 'TCP' }],
  endpoints: endpoints.map(({ name: of, host, conditions = READY, node: nodeName, hints }) => ({
    addresses: [host],
    conditions,
    ...(nodeName !== undefined && { nodeName }),
    ...(hints !== undefined && { hints }),
    ...(of !== undefined && { targetRef: { kind: 'Pod', namespace: 'shop', name: of } }),
  })),
})

export const route = (spec: object, name = 'split'): KubeObject => ({
  metadata: { namespace: 'shop', name, generation: 3, creationTimestamp: '2026-01-31T12:00:00Z' },
  spec: { parentRefs: [{ group: '', kind: 'Service', name: 'catalog' }], ...spec },
  status: { parents: [] },
})
