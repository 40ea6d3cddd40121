import { describe, expect, test } from 'vitest'
import { compileDestination, decide } from '#shared/decide/decide.ts'
import { compile, describeFaults, type Model } from './compile.ts'
import { CATALOG, CATALOG_ADDRESS, load, meshPolicy, pod, route, shop, world } from './shop.fixture.ts'

const addresses = (model: Model, backend: string, family: 'ipv4' | 'ipv6' = 'ipv4') =>
  model.endpoints(backend, family).map(({ address }) => address)

describe('a virtual address', () => {
  test('is the service, balanced over its own endpoints while there are no routes', () => {
    expect(shop().destination(CATALOG_ADDRESS, 'front')).toMatchObject({
      service: { namespace: 'shop', name: 'catalog', port: 80 },
      kind: 'service',
      protocol: 'http',
      rules: [],
      defaultBackend: 'shop/catalog:80',
      backends: [{ key: 'shop/catalog:80', service: { namespace: 'shop', name: 'catalog', port: 80 } }],
    })
  })

  test('is known by each family', () => {
    expect(shop().destination('[fd77:1::3]:80', 'front')).toEqual(shop().destination(CATALOG_ADDRESS, 'front'))
  })

  test.each(['10.77.128.3:81', '10.77.128.99:80', '192.0.2.1:80', 'catalog:80', '', '10.77.0.10'])(
    '%s is not of the mesh',
    (key) => {
      expect(shop().destination(key, 'front')).toBeNull()
    },
  )
})

describe('endpoints', () => {
  test('are the ready pods at the target port, with the identity to prove', () => {
    expect(shop().endpoints('shop/catalog-v2:80', 'ipv4')).toEqual([
      {
        address: '10.77.0.12:8080',
        weight: 1,
        identity: 'spiffe://weft.local/ns/shop/sa/catalog',
        pod: 'catalog-v2-0',
      },
    ])
  })

  test('are of the family that is asked for', () => {
    expect(addresses(shop(), 'shop/catalog-v2:80', 'ipv6')).toEqual(['[fd77::12]:8080'])
  })

  test('of another namespace are never taken, whatever their labels', () => {
    const pods = [pod('catalog-0', 10), pod('thief-0', 66, { namespace: 'front' })]
    expect(addresses(shop([], pods), 'shop/catalog:80')).toEqual(['10.77.0.10:8080'])
  })

  test.each([
    ['not ready', { ready: false }],
    ['terminating', { terminating: true }],
  ])('that are %s are left out', (_, state) => {
    expect(addresses(shop([], [pod('catalog-0', 10, state), pod('catalog-1', 11)]), 'shop/catalog:80')).toEqual([
      '10.77.0.11:8080',
    ])
  })

  test('that are terminating and still serve are used when there is no other', () => {
    const pods = [pod('catalog-0', 10, { terminating: true }), pod('catalog-1', 11, { ready: false })]
    expect(addresses(shop([], pods), 'shop/catalog:80')).toEqual(['10.77.0.10:8080'])
  })

  test('that are not ready are used where the service publishes them', () => {
    const documents = load(CATALOG.replace('spec: {', 'spec: { publishNotReadyAddresses: true,'))
    const model = compile(documents, world([pod('catalog-0', 10, { ready: false })]))
    expect(addresses(model, 'shop/catalog:80')).toEqual(['10.77.0.10:8080'])
  })

  test.each(['shop/none:80', 'shop/catalog:81', 'nonsense', 'shop/catalog-9.pod:80', 'front/catalog-0.pod:80'])(
    '%s has none',
    (backend) => {
      expect(addresses(shop(), backend)).toEqual([])
    },
  )

  test('without a sidecar have no identity', () => {
    expect(
      shop([], [pod('catalog-0', 10, { isMeshed: false })]).endpoints('shop/catalog:80', 'ipv4')[0]?.identity,
    ).toBe('')
  })

  test('at ports that their sidecar does not see have no identity', () => {
    const workload = `
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: catalog, namespace: shop, annotations: { config.weft.dev/skip-inbound-ports: "8000-8080" } }
spec: { command: [node] }
`
    const model = shop([workload])
    expect(
      model.endpoints('shop/catalog:80', 'ipv4').map(({ pod: name, identity }) => [name, identity !== '']),
    ).toEqual([
      ['catalog-0', false],
      ['catalog-1', false],
      ['catalog-v2-0', true],
    ])
    expect(model.endpoints('shop/catalog-0.pod:9000', 'ipv4')[0]?.identity).not.toBe('')
    expect(model.endpoints('shop/catalog-0.pod:15020', 'ipv4')[0]?.identity).toBe('')
  })

  test('listen where the workload says when the target port is a name', () => {
    const documents = load(
      CATALOG.replace('targetPort: 8080', 'targetPort: web'),
      `
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: catalog, namespace: shop }
spec: { command: [node], ports: [{ name: web, containerPort: 3000 }] }
`,
    )
    // catalog-v2-0 has no port of that name.
    expect(addresses(compile(documents, world()), 'shop/catalog:80')).toEqual(['10.77.0.10:3000', '10.77.0.11:3000'])
  })
})

describe('the address of a pod', () => {
  test('is that pod alone, with the service that sends to the port and without routes', () => {
    const model = shop([route('canary', '[{ backendRefs: [{ name: catalog-v2, port: 80 }] }]')])
    expect(model.destination('10.77.0.10:8080', 'front')).toMatchObject({
      service: { namespace: 'shop', name: 'catalog', port: 80 },
      kind: 'endpoint',
      protocol: 'http',
      rules: [],
      defaultBackend: 'shop/catalog-0.pod:8080',
    })
    expect(addresses(model, 'shop/catalog-0.pod:8080')).toEqual(['10.77.0.10:8080'])
    expect(addresses(model, 'shop/catalog-0.pod:8080', 'ipv6')).toEqual(['[fd77::10]:8080'])
  })

  test('at a port of no service is still dialled with the identity of the pod', () => {
    const model = shop()
    expect(model.destination('[fd77::10]:9000', 'front')).toMatchObject({ service: null, protocol: 'detect' })
    expect(model.endpoints('shop/catalog-0.pod:9000', 'ipv6')).toMatchObject([
      { address: '[fd77::10]:9000', identity: 'spiffe://weft.local/ns/shop/sa/catalog' },
    ])
  })

  test('is found however it is spelt', () => {
    expect(shop().destination('[FD77:0::10]:8080', 'front')).not.toBeNull()
  })
})

describe('the protocol of a port', () => {
  const protocolOf = (port: string, texts: readonly string[] = []) => {
    const text = CATALOG.replace('{ name: http, port: 80, targetPort: 8080 }', port)
    const model = compile(load(text, ...texts), world())
    const number = /port: (\d+)/.exec(port)?.[1]
    return model.destination(`10.77.128.3:${number}`, 'front')?.protocol
  }
  test.each([
    ['{ port: 80 }', 'detect'],
    ['{ port: 80, name: http }', 'http'],
    ['{ port: 80, name: http-admin }', 'http'],
    ['{ port: 80, name: https }', 'opaque'],
    ['{ port: 80, name: httpx }', 'detect'],
    ['{ port: 80, name: grpc-api }', 'http'],
    ['{ port: 80, name: grpc-web }', 'http'],
    ['{ port: 80, name: h2c }', 'http'],
    ['{ port: 80, appProtocol: grpc }', 'http'],
    ['{ port: 80, name: tcp-raw }', 'opaque'],
    ['{ port: 80, name: web }', 'detect'],
    ['{ port: 80, name: tcp, appProtocol: http }', 'http'],
    ['{ port: 80, name: http, appProtocol: tcp }', 'opaque'],
    ['{ port: 80, appProtocol: kubernetes.io/ws }', 'http'],
    ['{ port: 80, appProtocol: kubernetes.io/h2c }', 'http'],
    ['{ port: 80, appProtocol: amqp }', 'opaque'],
    ['{ port: 6379 }', 'opaque'],
    ['{ port: 80, targetPort: 3306 }', 'opaque'],
    ['{ port: 6379, name: http }', 'http'],
  ])('%s: %s', (port, expected) => {
    expect(protocolOf(port)).toBe(expected)
  })

  test.each([
    ['{ port: 80, name: grpc-api, targetPort: 8080 }', '2'],
    ['{ port: 80, appProtocol: kubernetes.io/h2c, targetPort: 8080 }', '2'],
    ['{ port: 80, name: http2, targetPort: 8080 }', '2'],
    ['{ port: 80, name: ws, targetPort: 8080 }', '1.1'],
    ['{ port: 80, appProtocol: weft.dev/http1, targetPort: 8080 }', '1.1'],
    ['{ port: 80, name: grpc, appProtocol: http, targetPort: 8080 }', undefined],
    ['{ port: 80, name: grpc-web, targetPort: 8080 }', undefined],
    ['{ port: 80, name: http, targetPort: 8080 }', undefined],
    ['{ port: 80, targetPort: 8080 }', undefined],
  ])('%s is spoken in one version to a pod of the service, by callers and by its own sidecar: %s', (port, expected) => {
    const text = CATALOG.replace('{ name: http, port: 80, targetPort: 8080 }', port)
    const model = compile(load(text), world())
    expect(model.destination('10.77.128.3:80', 'front')?.backends[0]?.httpVersion).toBe(expected)
    expect(model.destination('10.77.0.10:8080', 'front')?.backends[0]?.httpVersion).toBe(expected)
    expect(model.workload('catalog-0')?.ports[0]?.httpVersion).toBe(expected)
  })

  test('is bytes where the workload declares the target port opaque, and routes do not apply', () => {
    const opaque = `
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: catalog, namespace: shop, annotations: { config.weft.dev/opaque-ports: "8080" } }
spec: { command: [node] }
`
    const model = shop([opaque, route('r', '[{ backendRefs: [{ name: catalog, port: 80 }] }]')])
    expect(model.destination(CATALOG_ADDRESS, 'front')).toMatchObject({ protocol: 'opaque', rules: [] })
    expect(model.destination('10.77.0.10:8080', 'front')?.protocol).toBe('opaque')
    expect(model.workload('catalog-0')?.ports).toEqual([{ port: 8080, protocol: 'opaque', service: 'shop/catalog' }])
  })

  test('is bytes also where the pod that declares it has no sidecar, and where the service says tcp and has no pods', () => {
    const annotations = { 'config.weft.dev/opaque-ports': '8080' }
    const bare = shop([], [pod('catalog-0', 10, { isMeshed: false, annotations })])
    expect(bare.destination(CATALOG_ADDRESS, 'front')?.protocol).toBe('opaque')
    const tcp = CATALOG.replace('port: 80,', 'port: 80, appProtocol: tcp,')
    const { destination } = compile(load(tcp), world([]))
    expect(destination(CATALOG_ADDRESS, 'front')?.protocol).toBe('opaque')
  })
})

describe('the engine of a port', () => {
  const annotated = (value: string) => `
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: catalog, namespace: shop, annotations: { config.weft.dev/compat-ports: "${value}" } }
spec: { command: [node] }
`

  test('is Compat where a pod says so, for its sidecar and for whoever dials the service or the pod, and else nothing is said', () => {
    const model = shop([annotated('8000-8090')])
    expect(model.destination(CATALOG_ADDRESS, 'front')?.engine).toBe('compat')
    expect(model.destination('10.77.0.10:8080', 'front')?.engine).toBe('compat')
    expect(model.workload('catalog-0')?.ports[0]?.engine).toBe('compat')
    expect(JSON.stringify(shop([]).destination(CATALOG_ADDRESS, 'front'))).not.toContain('engine')
  })

  const ofMesh = meshPolicy('mesh', 'weft-system', 'compat: { ports: [{ port: 8080 }] }')
  const range = meshPolicy('range', 'shop', 'compat: { ports: [{ port: 8000, endPort: 8079 }, { port: 8080 }] }')
  const other = meshPolicy('other', 'shop', 'compat: { ports: [{ port: 8081, endPort: 9000 }] }')
  const none = meshPolicy('none', 'shop', 'selector: { matchLabels: { app: catalog } }, compat: { ports: [] }')

  test.each([
    ['a MeshPolicy of the mesh', [ofMesh], 'compat'],
    ['a range of one of the namespace', [range], 'compat'],
    ['other ports in a more specific one', [ofMesh, other], undefined],
    ['no ports in a more specific one', [ofMesh, range, none], undefined],
    ['the annotation before any policy', [none, annotated('8080')], 'compat'],
    ['an empty annotation before any policy', [ofMesh, annotated('')], undefined],
  ])('follows %s', (_, texts, engine) => {
    const model = shop(texts, [pod('catalog-0', 10)])
    expect(model.destination(CATALOG_ADDRESS, 'front')?.engine).toBe(engine)
    expect(model.destination('10.77.0.10:8080', 'front')?.engine).toBe(engine)
    expect(model.workload('catalog-0')?.ports[0]?.engine).toBe(engine)
  })

  test('follows a policy where the annotation of a pod is none, as one that an API server has stored may be', () => {
    const model = shop([ofMesh], [pod('catalog-0', 10, { annotations: { 'config.weft.dev/compat-ports': 'all' } })])
    expect(model.workload('catalog-0')?.ports[0]?.engine).toBe('compat')
  })
})

describe('a workload', () => {
  test('hears its identity, its defaults and the ports that it declares or that services send to', () => {
    const workload = `
apiVersion: weft.dev/v1alpha1
kind: Workload
metadata: { name: catalog, namespace: shop }
spec: { command: [node], ports: [{ containerPort: 9090, name: tcp-debug }] }
`
    expect(shop([workload]).workload('catalog-0')).toEqual({
      name: 'catalog-0',
      namespace: 'shop',
      serviceAccount: 'catalog',
      labels: { app: 'catalog', version: 'v1' },
      mtls: 'Strict',
      ports: [
        { port: 8080, protocol: 'http', service: 'shop/catalog' },
        { port: 9090, protocol: 'opaque', service: null },
      ],
      tracing: {
        endpoint: 'http://10.77.0.1:4317',
        protocol: 'grpc',
        samplingPercent: 5,
        propagators: ['tracecontext', 'baggage'],
      },
      accessLog: false,
    })
  })

  test('that has no sidecar, or does not exist, hears nothing', () => {
    expect(shop([], [pod('catalog-0', 10, { isMeshed: false })]).workload('catalog-0')).toBeNull()
    expect(shop().workload('nobody-0')).toBeNull()
    expect(shop().pod('nobody-0')).toBeNull()
  })
})

describe('routes', () => {
  const outcome = (model: Model, target: string, callerNamespace = 'front') => {
    const config = model.destination(CATALOG_ADDRESS, callerNamespace)
    if (config === null) throw new Error('no destination')
    const facts = { method: 'GET', authority: '', path: target, isPathPlain: true, query: '', fields: [], random: 0 }
    const decision = decide(compileDestination(config), facts)
    return decision.kind === 'forward' ? decision.backend : decision.code
  }
  const toV2 = '[{ backendRefs: [{ name: catalog-v2, port: 80 }] }]'

  test('send to their backends, whose policies come with them', () => {
    const model = shop([route('canary', toV2)])
    expect(outcome(model, '/')).toBe('shop/catalog-v2:80')
    expect(model.destination(CATALOG_ADDRESS, 'front')?.backends.map(({ key }) => key)).toEqual([
      'shop/catalog:80',
      'shop/catalog-v2:80',
    ])
  })

  test('of several objects are one list in the order of precedence', () => {
    const model = shop([
      route('a-wide', '[{ matches: [{ path: { value: / } }], backendRefs: [{ name: catalog, port: 80 }] }]'),
      route('b-narrow', '[{ matches: [{ path: { value: /new } }], backendRefs: [{ name: catalog-v2, port: 80 }] }]'),
    ])
    expect(outcome(model, '/new/x')).toBe('shop/catalog-v2:80')
    expect(outcome(model, '/old')).toBe('shop/catalog:80')
  })

  test('of a caller\u2019s own namespace stand in for those of the owner, for that caller alone', () => {
    const consumer = route(
      'mine',
      '[{ matches: [{ path: { value: /a } }], backendRefs: [{ name: catalog, namespace: shop, port: 80 }] }]',
      {
        namespace: 'front',
      },
    )
    const model = shop([route('theirs', toV2), consumer])
    expect(outcome(model, '/a', 'front')).toBe('shop/catalog:80')
    expect(outcome(model, '/b', 'front')).toBe('NO_ROUTE')
    expect(outcome(model, '/a', 'data')).toBe('shop/catalog-v2:80')
    expect(outcome(model, '/a', 'shop')).toBe('shop/catalog-v2:80')
    expect(model.statuses.flatMap(({ conditions }) => conditions).every(({ status }) => status)).toBe(true)
  })

  test('may bind one port by number or by name', () => {
    const parents = ['name: catalog, port: 80', 'name: catalog, sectionName: http']
    for (const parent of parents) expect(outcome(shop([route('r', toV2, { parent })]), '/')).toBe('shop/catalog-v2:80')
  })

  test('that name their parent twice have their rules once', () => {
    const twice = route('r', toV2).replace(
      '[{ group',
      '[{ group: "", kind: Service, name: catalog, port: 80 }, { group',
    )
    expect(shop([twice]).destination(CATALOG_ADDRESS, 'front')?.rules).toHaveLength(1)
  })

  test('that are wrong say what is not there, and what is', () => {
    const wrong = [
      route('a', toV2, { parent: 'name: none' }),
      route('b', toV2, { parent: 'name: catalog, port: 81' }),
      route('c', toV2, { parent: 'name: catalog, sectionName: grpc' }),
      route('d', '[{ backendRefs: [{ name: none, port: 80 }] }]'),
      route('e', '[{}, { backendRefs: [{ name: catalog, port: 80 }, { name: catalog-v2, port: 81 }] }]'),
      route('f', '[{ backendRefs: [{ name: redis, namespace: data, port: 6379 }] }]'),
    ]
    expect(describeFaults(shop(wrong).statuses)).toMatchInlineSnapshot(`
      [
        "HTTPRoute shop/a on Service shop/none: NoMatchingParent: there is no Service shop/none",
        "HTTPRoute shop/b on Service shop/catalog: NoMatchingParent: Service shop/catalog has no port 81; it has 80 (http)",
        "HTTPRoute shop/c on Service shop/catalog: NoMatchingParent: Service shop/catalog has no port grpc; it has 80 (http)",
        "HTTPRoute shop/d on Service shop/catalog: BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service shop/none",
        "HTTPRoute shop/e on Service shop/catalog: BackendNotFound: spec.rules[1].backendRefs[1]: Service shop/catalog-v2 has no port 81; it has 80",
        "HTTPRoute shop/f on Service shop/catalog: RefNotPermitted: spec.rules[0].backendRefs[0]: Service data/redis is in another namespace, and files hold no ReferenceGrant: use a Service of shop",
      ]
    `)
  })

  test('to a broken backend refuse its share', () => {
    expect(outcome(shop([route('r', '[{ backendRefs: [{ name: none, port: 80 }] }]')]), '/')).toBe('NO_BACKEND')
    expect(outcome(shop([route('r', '[{ backendRefs: [{ name: redis, namespace: data, port: 6379 }] }]')]), '/')).toBe(
      'NO_BACKEND',
    )
  })

  test('name their rules apart', () => {
    const model = shop([route('r', '[{ name: first }, {}]')])
    expect(model.destination(CATALOG_ADDRESS, 'front')?.rules.map(({ rule }) => rule)).toEqual(['first', 'rules[1]'])
  })
})
