import { describe, expect, test } from 'vitest'
import { loadDocuments } from '#shared/resources/load.ts'
import { hostsFile } from './names.ts'
import { type MeshPlan, planMesh } from './plan.ts'
import { chooseRanges } from './ranges.ts'
import { makeTokens, worldOf } from './world.ts'

const DOCUMENTS = `
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: demo }
spec: { trustDomain: demo.example }
---
apiVersion: v1
kind: Service
metadata: { name: catalog, namespace: shop }
spec: { selector: { app: catalog }, ports: [{ port: 80, targetPort: 8080 }] }
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata:
  name: catalog-v1
  namespace: shop
  labels: { app: catalog, version: v1 }
  annotations: { config.weft.dev/skip-outbound-ports: '25,4000-4010', config.weft.dev/skip-subnets: 169.254.0.0/16 }
spec: { serviceAccount: catalog, replicas: 2, command: [node, catalog.ts] }
---
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: web, labels: { app: catalog } }
spec: { command: [node, web.ts], inject: false }
`

function plan(documents = DOCUMENTS): MeshPlan {
  const loaded = loadDocuments([{ path: 'mesh.yaml', text: documents }])
  expect(loaded.problems).toEqual([])
  return planMesh(loaded.documents, chooseRanges({ podCIDRs: [], serviceCIDRs: [] }, []))
}

describe('plan of a mesh', () => {
  test('each replica is a pod with its own addresses and namespace and the identity of its service account', () => {
    const { pods } = plan()
    expect(
      pods.map(({ name, addresses, networkNamespace, identity }) => ({ name, addresses, networkNamespace, identity })),
    ).toEqual([
      {
        name: 'catalog-v1-0',
        addresses: ['10.77.0.2', 'fd77:7765:6674:100::2'],
        networkNamespace: 'weft-demo.catalog-v1-0',
        identity: 'spiffe://demo.example/ns/shop/sa/catalog',
      },
      {
        name: 'catalog-v1-1',
        addresses: ['10.77.0.3', 'fd77:7765:6674:100::3'],
        networkNamespace: 'weft-demo.catalog-v1-1',
        identity: 'spiffe://demo.example/ns/shop/sa/catalog',
      },
      {
        name: 'web-0',
        addresses: ['10.77.0.4', 'fd77:7765:6674:100::4'],
        networkNamespace: 'weft-demo.web-0',
        identity: 'spiffe://demo.example/ns/default/sa/default',
      },
    ])
  })

  test('a service takes the pods of its namespace that its selector matches, and has addresses of its own', () => {
    expect(plan().services).toEqual([
      {
        name: 'catalog',
        namespace: 'shop',
        addresses: ['10.77.128.1', 'fd77:7765:6674:1100::1'],
        ports: [80],
        pods: ['catalog-v1-0', 'catalog-v1-1'],
      },
    ])
  })

  test('annotations say what the redirection leaves alone', () => {
    expect(plan().pods[0]?.redirect).toEqual({
      skipInboundPorts: [],
      skipOutboundPorts: [25, [4000, 4010]],
      skipOutboundCIDRs: ['169.254.0.0/16'],
    })
  })

  test('a range with too few addresses is an error that names it', () => {
    const { documents } = loadDocuments([{ path: 'mesh.yaml', text: DOCUMENTS }])
    const ranges = chooseRanges({ podCIDRs: ['10.1.0.0/30'], serviceCIDRs: ['10.2.0.0/24'] }, [])
    expect(() => planMesh(documents, ranges)).toThrow('10.1.0.0/30 has no room for address number 3')
  })
})

describe('hosts file of a pod', () => {
  const of = (pod: string) => {
    const made = plan()
    const found = made.pods.find(({ name }) => name === pod)
    if (found === undefined) throw new Error(`no pod ${pod}`)
    return hostsFile(made, found).split('\n')
  }

  test('a service has its names of Kubernetes, the short one only within its namespace', () => {
    expect(of('catalog-v1-0')).toContain(
      '10.77.128.1 catalog.shop.svc.cluster.local catalog.shop.svc catalog.shop catalog',
    )
    expect(of('catalog-v1-0')).toContain(
      '10.77.0.3 catalog-v1-1.catalog.shop.svc.cluster.local catalog-v1-1.catalog.shop.svc catalog-v1-1.catalog.shop catalog-v1-1.catalog',
    )
    expect(of('web-0').join('\n')).not.toMatch(/ catalog$/m)
  })

  test('a pod without a sidecar gets the pods in place of the virtual address, which it could not use', () => {
    const lines = of('web-0')
    expect(lines).toContain('10.77.0.2 catalog.shop.svc.cluster.local catalog.shop.svc catalog.shop')
    expect(lines.join('\n')).not.toContain('10.77.128.1')
  })
})

describe('what control and certs are told', () => {
  test('the world has every pod with the readiness that it is given', () => {
    const world = worldOf(plan(), (pod) => ({ ready: pod === 'web-0', terminating: false }))
    expect(world.mesh).toEqual({
      name: 'demo',
      trustDomain: 'demo.example',
      podCIDRs: ['10.77.0.0/17', 'fd77:7765:6674:100::/64'],
      serviceCIDRs: ['10.77.128.0/17', 'fd77:7765:6674:1100::/112'],
      gateways: ['10.77.0.1', 'fd77:7765:6674:100::1'],
    })
    expect(world.pods.map(({ name, ready, isMeshed }) => [name, ready, isMeshed])).toEqual([
      ['catalog-v1-0', false, true],
      ['catalog-v1-1', false, true],
      ['web-0', true, false],
    ])
  })

  test('each sidecar and control have a token of their own, of which certs sees the hash, the identity and the addresses', () => {
    let count = 0
    const tokens = makeTokens(plan(), () => `token-${count++}`)
    expect(tokens.ofControl).toBe('token-0')
    expect([...tokens.ofPods]).toEqual([
      ['catalog-v1-0', 'token-1'],
      ['catalog-v1-1', 'token-2'],
    ])
    expect(tokens.registry.tokens[0]).toMatchObject({
      spiffeId: 'spiffe://demo.example/ns/weft-system/sa/weft-control',
      addresses: ['10.77.0.1', 'fd77:7765:6674:100::1'],
    })
    expect(tokens.registry.tokens[2]).toEqual({
      // printf token-2 | sha256sum
      sha256: '0f6bffa9661cb5dd2f3f7b2929f33061f58a7ba7fdd689530b1a306f8ed8f3ec',
      spiffeId: 'spiffe://demo.example/ns/shop/sa/catalog',
      addresses: ['10.77.0.3', 'fd77:7765:6674:100::3'],
    })
    expect(JSON.stringify(tokens.registry)).not.toContain('token-')
  })
})
