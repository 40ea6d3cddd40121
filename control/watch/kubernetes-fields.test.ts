// The fields of a Service and its slices that kube-proxy would honour, which sidecars pass by.
import { describe, expect, test } from 'vitest'
import type { KubeObject } from '#shared/kube/objects.ts'
import type { Model } from '../model/compile.ts'
import { modelOf, node, pod, route, type SliceEndpoint, service, slice } from './kubernetes.fixture.ts'

const CATALOG = 'shop/catalog:80'
const at = (address: string) => ({ clusterIP: address, clusterIPs: [address] })
const podOn = (nodeName: string, name: string, host: number) => pod(name, host, { spec: { nodeName } })

/** Last numbers of the addresses that a pod is told of. */
function seenFrom(model: Model, name: string, backend = CATALOG): readonly string[] {
  const states = model.endpoints(backend, 'ipv4', model.placeOf(backend, `shop/${name}`))
  return states.map(({ address }) => address.replace(/^.*\.(\d+):.*$/, '$1'))
}

test('sessionAffinity is told with its timeout: the one it says, else three hours, and for each backend its own', () => {
  const minute = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }
  const model = modelOf({
    services: [
      service({ sessionAffinity: 'ClientIP', ...minute }),
      service({ ...at('10.96.0.8'), sessionAffinity: 'ClientIP' }, 'cart'),
      service({ ...at('10.96.0.9'), ...minute }, 'web'),
    ],
    routes: [route({ rules: [{ backendRefs: ['catalog', 'cart', 'web'].map((name) => ({ name, port: 80 })) }] })],
  })
  const { backends = [] } = model.destination('10.96.0.7:80', 'front') ?? {}
  expect(backends.map(({ key, policy }) => [key, policy.sessionAffinityMs])).toEqual([
    [CATALOG, 60_000],
    ['shop/cart:80', 10_800_000],
    ['shop/web:80', undefined],
  ])
})

describe('where a caller is', () => {
  const nodes = [node('n1', 'a'), node('n2', 'a'), node('n3', 'b'), node('n4')]
  const callers = [podOn('n1', 'c1', 1), podOn('n2', 'c2', 2), podOn('n3', 'c3', 3), podOn('n4', 'c4', 4)]
  const pods = [...callers, podOn('n1', 'p1', 11), podOn('n2', 'p2', 12), podOn('n3', 'p3', 13)]
  const endpoint = (number: number, hints?: object): SliceEndpoint => ({
    name: `p${number}`,
    host: `10.244.0.1${number}`,
    node: `n${number}`,
    ...(hints && { hints }),
  })
  const clusterOf = (spec: object, endpoints: readonly SliceEndpoint[]) =>
    modelOf({ services: [service(spec)], slices: [slice(endpoints)], pods, nodes })
  const seen = (model: Model) => ['c1', 'c2', 'c3', 'c4'].map((name) => seenFrom(model, name).join(' '))
  const plain = [endpoint(1), endpoint(2), endpoint(3)]

  test('makes no difference for most services, so that one answer does for all', () => {
    const model = clusterOf({}, plain)
    expect(seen(model)).toEqual(['11 12 13', '11 12 13', '11 12 13', '11 12 13'])
    expect(model.placeOf(CATALOG, 'shop/c1')).toEqual(model.placeOf(CATALOG, 'shop/c3'))
  })

  test('internalTrafficPolicy: Local leaves the endpoints on the caller’s node, and the sidecar is told why there may be none', () => {
    const model = clusterOf({ internalTrafficPolicy: 'Local' }, plain)
    expect(seen(model)).toEqual(['11', '12', '13', ''])
    expect(model.destination('10.96.0.7:80', 'front')?.backends[0]?.isLocalOnly).toBe(true)
    expect(clusterOf({}, plain).destination('10.96.0.7:80', 'front')?.backends[0]).not.toHaveProperty('isLocalOnly')
  })

  test('trafficDistribution: PreferClose and PreferSameZone keep to the zone, as the hints of the slices say', () => {
    const hints = (zone: string) => ({ forZones: [{ name: zone }] })
    // The field itself is for the controller of EndpointSlices; whoever else gives hints is followed alike.
    const model = clusterOf({ trafficDistribution: 'PreferClose' }, [
      endpoint(1, hints('a')),
      endpoint(2, hints('a')),
      endpoint(3, hints('b')),
    ])
    expect(seen(model)).toEqual(['11 12', '11 12', '13', '11 12 13'])
    expect(seen(clusterOf({}, [endpoint(1, hints('a')), endpoint(3, hints('b'))]))).toEqual(['11', '11', '13', '11 13'])
    // Callers of one zone share what is made for them.
    expect(model.placeOf(CATALOG, 'shop/c1')).toEqual(model.placeOf(CATALOG, 'shop/c2'))
  })

  test('trafficDistribution: PreferSameNode keeps to the node, else to the zone', () => {
    const hints = (name: string, zone: string) => ({ forNodes: [{ name }], forZones: [{ name: zone }] })
    const model = clusterOf({ trafficDistribution: 'PreferSameNode' }, [
      endpoint(1, hints('n1', 'a')),
      endpoint(3, hints('n3', 'b')),
    ])
    expect(seen(model)).toEqual(['11', '11', '13', '11 13'])
  })

  test('a route to a service with hints is for the endpoints near the caller too', () => {
    const hints = (zone: string) => ({ forZones: [{ name: zone }] })
    const slices = [slice([endpoint(1, hints('a')), endpoint(3, hints('b'))])]
    const services = [service(), service(at('10.96.0.9'), 'web')]
    const to = route({ rules: [{ backendRefs: [{ name: 'catalog', port: 80 }] }] }, 'to-catalog')
    const spec = { ...(to['spec'] as object), parentRefs: [{ group: '', kind: 'Service', name: 'web' }] }
    const model = modelOf({ services, slices, pods, nodes, routes: [{ ...to, spec }] })
    const [backend] = model.destination('10.96.0.9:80', 'shop')?.rules[0]?.backends ?? []
    expect(seenFrom(model, 'c3', backend?.backend ?? '')).toEqual(['13'])
  })
})

describe('conditions of endpoints', () => {
  const pods = [pod('p1', 11), pod('p2', 12)]
  const seen = (first: object, second: object, spec: object = {}) =>
    seenFrom(
      modelOf({
        services: [service(spec)],
        pods,
        slices: [
          slice([
            { name: 'p1', host: '10.244.0.11', conditions: first },
            { name: 'p2', host: '10.244.0.12', conditions: second },
          ]),
        ],
      }),
      'p1',
    )
  const ending = { ready: false, serving: true, terminating: true }
  const ended = { ready: false, serving: false, terminating: true }
  const unready = { ready: false, serving: false, terminating: false }

  test.each([
    ['what is left out counts as ready', {}, unready, ['11']],
    ['null counts as ready', { ready: null, serving: null, terminating: null }, unready, ['11']],
    ['a ready one before one that ends', ending, { ready: true }, ['12']],
    ['one that ends but serves before none', ending, ended, ['11']],
    ['one that is not ready and does not end never', { ready: false, serving: true, terminating: false }, unready, []],
  ])('%s', (_, first, second, expected) => {
    expect(seen(first, second)).toEqual(expected)
  })

  test('with publishNotReadyAddresses the slice says ready of pods that are not, and of those that end', () => {
    const conditions = { ready: true, serving: false, terminating: true }
    expect(seen(conditions, { ready: true }, { publishNotReadyAddresses: true })).toEqual(['11', '12'])
  })
})

describe('addresses of a service', () => {
  const pods = [pod('p1', 11)]
  const slices = [slice([{ name: 'p1', host: '10.244.0.11' }])]
  const withStatus = (object: KubeObject, ...ingress: object[]): KubeObject => ({
    ...object,
    status: { loadBalancer: { ingress } },
  })
  const leadsTo = (model: Model, address: string, caller = 'front') =>
    model.destination(address, caller)?.service?.name ?? null
  const both = (spec: object, ...ingress: object[]) =>
    modelOf({ services: [withStatus(service(spec), ...ingress)], pods, slices })

  test('a service is reached from inside by the addresses of its load balancer and by its externalIPs', () => {
    const ingress = [{ ip: '203.0.113.5', ipMode: 'VIP' }, { ip: '2001:db8::5' }, { hostname: 'lb.example.com' }]
    const model = both({ type: 'LoadBalancer', externalIPs: ['198.51.100.7'] }, ...ingress)
    for (const address of ['203.0.113.5:80', '[2001:db8::5]:80', '198.51.100.7:80'])
      expect(leadsTo(model, address, 'shop'), address).toBe('catalog')
    expect(leadsTo(model, '203.0.113.5:80')).toBe('catalog')
    expect(leadsTo(model, '203.0.113.5:81')).toBeNull()
    // What lies around them is no part of the mesh.
    expect(model.ranges).toEqual(expect.arrayContaining(['203.0.113.5/32', '2001:db8::5/128', '198.51.100.7/32']))
    expect(model.ranges).not.toContain('203.0.0.0/16')
  })

  test('not by an address whose load balancer must see the connection, nor by one that it filters by source', () => {
    expect(leadsTo(both({}, { ip: '203.0.113.5', ipMode: 'Proxy' }), '203.0.113.5:80')).toBeNull()
    const filtered = both({ loadBalancerSourceRanges: ['192.0.2.0/24'] }, { ip: '203.0.113.5' })
    expect(leadsTo(filtered, '203.0.113.5:80')).toBeNull()
  })

  test('a service is reached by its NodePort at the address of any node, in both families', () => {
    const ports = [
      { name: 'http', port: 80, nodePort: 30_080, targetPort: 'web' },
      { name: 'dns', port: 53, nodePort: 30_053, protocol: 'UDP' },
    ]
    const nodes = [node('n1', 'a', '192.0.2.1', '2001:db8::1'), node('n2', 'b', '192.0.2.2')]
    const model = modelOf({ services: [service({ type: 'NodePort', ports })], pods, slices, nodes })
    for (const address of ['192.0.2.1:30080', '192.0.2.2:30080', '[2001:db8::1]:30080'])
      expect(model.destination(address, 'front')?.service, address).toEqual({
        namespace: 'shop',
        name: 'catalog',
        port: 80,
      })
    for (const address of ['192.0.2.1:80', '192.0.2.1:30053', '192.0.2.3:30080', '10.96.0.7:30080'])
      expect(leadsTo(model, address), address).toBeNull()
    expect(model.ranges).toEqual(expect.arrayContaining(['192.0.2.1/32', '192.0.2.2/32', '2001:db8::1/128']))
    // Where no service has such a port, what is around is not asked for one by one.
    expect(modelOf({ services: [service()], nodes }).ranges).not.toContain('192.0.2.1/32')
  })

  test('nothing leads to a service of UDP alone, nor to an alias for a name', () => {
    const udp = service({ ...at('10.96.0.8'), ports: [{ name: 'dns', port: 53, protocol: 'UDP' }] }, 'dns')
    const alias = service({ type: 'ExternalName', externalName: 'example.com', ...at('10.96.0.9') }, 'alias')
    const model = modelOf({ services: [service(), udp, alias], pods, slices })
    expect(['10.96.0.7:80', '10.96.0.8:53', '10.96.0.9:80'].map((address) => leadsTo(model, address))).toEqual([
      'catalog',
      null,
      null,
    ])
  })

  test('nobody claims the address of another service or of a pod; of two that claim one address the older has it', () => {
    const claims = { externalIPs: ['10.96.0.7', '10.244.0.11', '198.51.100.7'], ports: [{ port: 80 }, { port: 8080 }] }
    const aged = (object: KubeObject, day: string): KubeObject => ({
      ...object,
      metadata: { ...object.metadata, creationTimestamp: `2026-01-${day}T00:00:00Z` },
    })
    const model = modelOf({
      services: [
        service(),
        aged(service({ ...at('10.96.0.8'), ...claims }, 'a-young'), '02'),
        aged(service({ ...at('10.96.0.9'), ...claims }, 'b-old'), '01'),
      ],
      pods,
      slices,
    })
    expect(leadsTo(model, '10.96.0.7:8080')).toBeNull()
    expect(leadsTo(model, '10.96.0.7:80')).toBe('catalog')
    expect(model.destination('10.244.0.11:8080', 'front')).toMatchObject({
      kind: 'endpoint',
      service: { name: 'catalog' },
    })
    expect(leadsTo(model, '198.51.100.7:80', 'shop')).toBe('b-old')
  })

  test('an address that a service only claims diverts no callers of other namespaces, nor of one that claims it too', () => {
    const spec = (host: string) => ({ ...at(host), externalIPs: ['8.8.8.8'], ports: [{ port: 443 }] })
    const evil = service(spec('10.96.0.66'), 'evil')
    const services = [{ ...evil, metadata: { ...evil.metadata, namespace: 'evil' } }, service(spec('10.96.0.8'), 'own')]
    const model = modelOf({ services, pods, slices })
    expect(['front', 'shop', 'evil'].map((caller) => leadsTo(model, '8.8.8.8:443', caller))).toEqual([
      null,
      'own',
      'evil',
    ])
  })

  test('of a service that claims very many addresses the first 64 lead to it', () => {
    const externalIPs = Array.from({ length: 100 }, (_, index) => `198.51.100.${index}`)
    const model = modelOf({ services: [service({ externalIPs })], pods, slices })
    expect(leadsTo(model, '198.51.100.63:80', 'shop')).toBe('catalog')
    expect(leadsTo(model, '198.51.100.64:80', 'shop')).toBeNull()
  })
})

describe('who stands behind a service', () => {
  test('pods on which a named port has different numbers are dialled at their own', () => {
    const ports = (containerPort: number) => ({
      spec: { containers: [{ name: 'app', ports: [{ name: 'web', containerPort }] }] },
    })
    const model = modelOf({
      services: [service()],
      pods: [pod('old', 11, ports(8080)), pod('new', 12, ports(9090))],
      slices: [
        slice([{ name: 'old', host: '10.244.0.11' }], 'catalog-a', 8080),
        slice([{ name: 'new', host: '10.244.0.12' }], 'catalog-b', 9090),
      ],
    })
    expect(model.endpoints(CATALOG, 'ipv4').map(({ address }) => address)).toEqual([
      '10.244.0.11:8080',
      '10.244.0.12:9090',
    ])
    expect(model.destination('10.244.0.12:9090', 'front')?.service).toEqual({
      namespace: 'shop',
      name: 'catalog',
      port: 80,
    })
  })

  test('a pod of a StatefulSet is reached by its own address through its headless service, in both families', () => {
    const metadata = {
      labels: { app: 'catalog', 'apps.kubernetes.io/pod-index': '0' },
      ownerReferences: [{ kind: 'StatefulSet', name: 'catalog', controller: true }],
    }
    const model = modelOf({
      services: [service({ clusterIP: 'None', clusterIPs: ['None'], publishNotReadyAddresses: true })],
      pods: [pod('catalog-0', 11, { metadata, isReady: false })],
      slices: [slice([{ name: 'catalog-0', host: '10.244.0.11' }])],
    })
    for (const key of ['10.244.0.11:8080', '[fd00:244::11]:8080']) {
      const direct = model.destination(key, 'front')
      expect(direct).toMatchObject({ kind: 'endpoint', service: { name: 'catalog', port: 80 }, protocol: 'http' })
      const family = key.startsWith('[') ? 'ipv6' : 'ipv4'
      expect(model.endpoints(direct?.defaultBackend ?? '', family)).toEqual([
        { address: key, weight: 1, identity: 'spiffe://weft.test/ns/shop/sa/catalog', pod: 'shop/catalog-0' },
      ])
    }
  })

  test('each family has the endpoints of its own slices', () => {
    const six = { ...slice([{ name: 'p1', host: 'fd00:244::11' }], 'catalog-6'), addressType: 'IPv6' }
    const model = modelOf({
      services: [service()],
      pods: [pod('p1', 11)],
      slices: [slice([{ name: 'p1', host: '10.244.0.11' }]), six],
    })
    expect(model.endpoints(CATALOG, 'ipv4').map(({ address }) => address)).toEqual(['10.244.0.11:8080'])
    expect(model.endpoints(CATALOG, 'ipv6').map(({ address }) => address)).toEqual(['[fd00:244::11]:8080'])
  })
})
