// A small mesh for the tests of the model: documents as people write them, in a world with a few pods.
import { type Loaded, loadDocuments } from '#shared/resources/load.ts'
import { formatProblem } from '#shared/resources/problem.ts'
import type { World, WorldPod } from '#shared/standalone/world.ts'
import { compile, type Model } from './compile.ts'

export function load(...texts: readonly string[]): readonly Loaded[] {
  const { documents, problems } = loadDocuments([{ path: 'mesh.yaml', text: texts.join('\n---\n') }])
  if (problems.length > 0) throw new Error(problems.map(formatProblem).join('\n'))
  return documents
}

export const CATALOG = `
apiVersion: v1
kind: Service
metadata: { name: catalog, namespace: shop }
spec: { selector: { app: catalog }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`
export const CATALOG_V2 = `
apiVersion: v1
kind: Service
metadata: { name: catalog-v2, namespace: shop }
spec: { selector: { app: catalog, version: v2 }, ports: [{ name: http, port: 80, targetPort: 8080 }] }
`
export const REDIS = `
apiVersion: v1
kind: Service
metadata: { name: redis, namespace: data }
spec: { selector: { app: redis }, ports: [{ port: 6379 }] }
`

export function pod(name: string, host: number, more: Partial<WorldPod> = {}): WorldPod {
  const workload = name.replace(/-\d+$/, '')
  return {
    name,
    namespace: 'shop',
    workload,
    serviceAccount: 'catalog',
    labels: { app: 'catalog', version: 'v1' },
    addresses: [`10.77.0.${host}`, `fd77::${host}`],
    ready: true,
    terminating: false,
    isMeshed: true,
    ...more,
  }
}

const PODS: readonly WorldPod[] = [
  pod('catalog-0', 10),
  pod('catalog-1', 11),
  pod('catalog-v2-0', 12, { labels: { app: 'catalog', version: 'v2' } }),
  pod('redis-0', 20, { namespace: 'data', labels: { app: 'redis' }, serviceAccount: 'redis' }),
  pod('web-0', 30, { namespace: 'front', labels: { app: 'web' }, serviceAccount: 'web' }),
]

export function world(pods: readonly WorldPod[] = PODS): World {
  return {
    mesh: {
      name: 'demo',
      trustDomain: 'weft.local',
      podCIDRs: ['10.77.0.0/17', 'fd77::/64'],
      serviceCIDRs: ['10.77.128.0/17', 'fd77:1::/64'],
      gateways: ['10.77.0.1', 'fd77::1'],
    },
    services: [
      { namespace: 'shop', name: 'catalog', addresses: ['10.77.128.3', 'fd77:1::3'] },
      { namespace: 'shop', name: 'catalog-v2', addresses: ['10.77.128.4', 'fd77:1::4'] },
      { namespace: 'data', name: 'redis', addresses: ['10.77.128.5', 'fd77:1::5'] },
    ],
    pods,
  }
}

export const CATALOG_ADDRESS = '10.77.128.3:80'

export function shop(texts: readonly string[] = [], pods: readonly WorldPod[] = PODS): Model {
  return compile(load(CATALOG, CATALOG_V2, REDIS, ...texts), world(pods))
}

/** An HTTPRoute on shop/catalog; `rules` is the YAML of the list. */
export function route(name: string, rules: string, more: { namespace?: string; parent?: string } = {}): string {
  const { namespace = 'shop', parent = 'name: catalog, namespace: shop' } = more
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: ${namespace} }
spec:
  parentRefs: [{ group: "", kind: Service, ${parent} }]
  rules: ${rules}
`
}

export function policy(name: string, spec: string, target = 'Service/catalog'): string {
  const [kind = '', targetName = ''] = target.split('/')
  const group = kind === 'Service' ? '""' : 'gateway.networking.k8s.io'
  return `
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: ${name}, namespace: shop }
spec: { targetRefs: [{ group: ${group}, kind: ${kind}, name: ${targetName} }], ${spec} }
`
}

export function meshPolicy(name: string, namespace: string, spec: string): string {
  return `
apiVersion: weft.dev/v1alpha1
kind: MeshPolicy
metadata: { name: ${name}, namespace: ${namespace} }
spec: { ${spec} }
`
}
