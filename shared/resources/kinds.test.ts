import { expect, test } from 'vitest'
import { loadDocuments } from './load.ts'
import { formatProblem } from './problem.ts'

/** Of one object of a kind: its spec, and metadata beside the name. */
function problemsOf(kind: string, spec: string, metadata = ''): string {
  const version = { Service: 'v1', HTTPRoute: 'gateway.networking.k8s.io/v1' }[kind] ?? 'weft.dev/v1alpha1'
  const text = `apiVersion: ${version}\nkind: ${kind}\nmetadata: { name: x${metadata} }\nspec: ${spec}\n`
  // Place and object are the same in all of these.
  return loadDocuments([{ path: 'm', text }])
    .problems.map((problem) => formatProblem(problem).replace(/^m:\d+:\d+: \w+ (default\/)?x: /, ''))
    .join('\n')
}

function table(kind: string, specs: readonly string[]): Record<string, string> {
  return Object.fromEntries(specs.map((spec) => [spec, problemsOf(kind, spec)]))
}

const everythingRight: readonly (readonly [string, string, string?])[] = [
  ['Mesh', '{}'],
  ['Mesh', '{ trustDomain: corp.example, podCIDRs: [10.1.0.0/17, "fd01::/64"], serviceCIDRs: [10.1.128.0/17] }'],
  [
    'Workload',
    `{ serviceAccount: a, replicas: 0, command: [sh, -c, "exec sleep 1"], env: { A: "1", b.c-d: "" }, workingDir: /tmp, inject: false,
       ports: [{ containerPort: 80, name: http }, { containerPort: 81, appProtocol: tcp }], terminationGracePeriod: 1m30s,
       readinessProbe: { httpGet: { path: /ready, port: 80 }, periodSeconds: 1, failureThreshold: 1 },
       livenessProbe: { tcpSocket: { port: 80 } }, securityContext: { runAsUser: 1000, runAsGroup: 1000 } }`,
    ', annotations: { config.weft.dev/skip-inbound-ports: "22,8000-9000", config.weft.dev/skip-outbound-ports: "", config.weft.dev/opaque-ports: "3306", config.weft.dev/skip-subnets: "10.0.0.0/8,fd00::/8", note: x }',
  ],
  [
    'Service',
    '{ selector: { app: a }, ports: [{ port: 80 }], type: ClusterIP, sessionAffinity: None, ipFamilyPolicy: PreferDualStack }',
  ],
  [
    'Service',
    '{ selector: { app: a }, ports: [{ name: a, port: 80, targetPort: web, protocol: TCP, appProtocol: kubernetes.io/ws }, { name: b, port: 81 }] }',
  ],
  ['Service', '{ selector: { app: a }, ports: [{ port: 80 }], sessionAffinity: ClientIP }'],
  [
    'Service',
    '{ selector: { app: a }, ports: [{ port: 80 }], sessionAffinity: ClientIP, sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }',
  ],
  ['HTTPRoute', '{ parentRefs: [{ group: "", kind: Service, name: a }] }'],
  [
    'HTTPRoute',
    `{ parentRefs: [{ group: "", kind: Service, name: a, namespace: b, port: 80, sectionName: http }], hostnames: [ignored],
       rules: [{ name: first, timeouts: { request: 10s, backendRequest: 0s },
         matches: [{ path: { type: Exact, value: /a%20b }, method: GET, headers: [{ name: X, value: y }], queryParams: [{ type: RegularExpression, name: q, value: "a+" }] }],
         backendRefs: [{ name: b, port: 80, weight: 0 }, { group: "", kind: Service, namespace: c, name: d, port: 81 }] }] }`,
  ],
  [
    'TrafficPolicy',
    '{ targetRefs: [{ group: "", kind: Service, name: a }, { group: gateway.networking.k8s.io, kind: HTTPRoute, name: b }], retries: { attempts: 0 } }',
  ],
  ['MeshPolicy', '{}'],
  [
    'MeshPolicy',
    '{ selector: { matchLabels: { app: a } }, mtls: { mode: Permissive }, tracing: { endpoint: "http://[::1]:4318", protocol: http, samplingPercent: 0.1, propagators: [b3, tracecontext] }, accessLog: { enabled: true } }',
  ],
  ['MeshPolicy', '{ compat: { ports: [{ port: 8080 }, { port: 1, endPort: 65535 }, { port: 80, endPort: 80 }] } }'],
  ['MeshPolicy', '{ compat: { ports: [] } }'],
]
test.each(everythingRight.map(([kind, spec, metadata = '']) => ({ kind, spec, metadata })))(
  '$kind $spec is taken',
  ({ kind, spec, metadata }) => {
    expect(problemsOf(kind, spec, metadata)).toBe('')
  },
)

test('a Mesh', () => {
  expect(
    table('Mesh', [
      '{ trustDomain: Weft }',
      '{ podCIDRs: [10.0.0.0] }',
      '{ podCIDRs: [10.0.0.0/8, 11.0.0.0/8] }',
      '{ podCIDRs: [10.0.0.0/8], serviceCIDRs: [10.1.0.0/16] }',
    ]),
  ).toMatchInlineSnapshot(`
    {
      "{ podCIDRs: [10.0.0.0/8, 11.0.0.0/8] }": "spec.podCIDRs[1]: found two ranges of ipv4; want one range of each family: IPv4 and IPv6",
      "{ podCIDRs: [10.0.0.0/8], serviceCIDRs: [10.1.0.0/16] }": "spec.serviceCIDRs[0]: found 10.1.0.0/16, which overlaps 10.0.0.0/8; want a range apart from podCIDRs",
      "{ podCIDRs: [10.0.0.0] }": "spec.podCIDRs[0]: found "10.0.0.0"; want an address range such as 10.77.0.0/17 or fd77::/64",
      "{ trustDomain: Weft }": "spec.trustDomain: found "Weft"; want a trust domain of lower-case letters, digits, "-", "_" and ".", such as weft.local",
    }
  `)
  expect(problemsOf('Mesh', '{}', ', namespace: shop')).toMatchInlineSnapshot(
    `"metadata.namespace: found an unknown field; want "name" (known here: name, labels, annotations, creationTimestamp, uid, resourceVersion, generation, managedFields)"`,
  )
})

test('a Service', () => {
  expect(
    table('Service', [
      '{ ports: [{ port: 80 }] }',
      '{ selector: {}, ports: [{ port: 80 }] }',
      '{ selector: { a: b }, ports: [] }',
      '{ selector: { a: b }, ports: [{ port: 80 }, { port: 81, name: b }] }',
      '{ selector: { a: b }, ports: [{ port: 80, name: b }, { port: 81, name: b }] }',
      '{ selector: { a: b }, ports: [{ port: 80, protocol: UDP }] }',
      '{ selector: { a: b }, ports: [{ port: 80, targetPort: 0 }] }',
      '{ selector: { a: b }, ports: [{ port: 80, nodePort: 30000 }] }',
      '{ selector: { a: b }, ports: [{ port: 80 }], type: LoadBalancer }',
      '{ selector: { a: b }, ports: [{ port: 80 }], sessionAffinity: Cookie }',
      '{ selector: { a: b }, ports: [{ port: 80 }], sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }',
      '{ selector: { a: b }, ports: [{ port: 80 }], sessionAffinity: ClientIP, sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } }',
      '{ selector: { a: b }, ports: [{ port: 80 }], trafficDistribution: PreferClose }',
      '{ selector: { a: b }, ports: [{ port: 80 }], clusterIP: None }',
      '{ selector: { a: b }, ports: [{ port: 80 }], internalTrafficPolicy: Local }',
    ]),
  ).toMatchInlineSnapshot(`
    {
      "{ ports: [{ port: 80 }] }": "spec.selector: found nothing; want a map of text to text",
      "{ selector: { a: b }, ports: [] }": "spec.ports: found a list of 0 items; want a list of 1 to 100 items",
      "{ selector: { a: b }, ports: [{ port: 80 }, { port: 81, name: b }] }": "spec.ports[0].name: found nothing; want a name, as the Service has more than one port",
      "{ selector: { a: b }, ports: [{ port: 80 }], clusterIP: None }": "spec.clusterIP: found a field that is not supported yet; want it left out",
      "{ selector: { a: b }, ports: [{ port: 80 }], internalTrafficPolicy: Local }": "spec.internalTrafficPolicy: found "Local"; want Cluster (Local is for a cluster: here every pod is on the same machine)",
      "{ selector: { a: b }, ports: [{ port: 80 }], sessionAffinity: ClientIP, sessionAffinityConfig: { clientIP: { timeoutSeconds: 86401 } } }": "spec.sessionAffinityConfig.clientIP.timeoutSeconds: found 86401; want seconds, 1 to 86400 (a day)",
      "{ selector: { a: b }, ports: [{ port: 80 }], sessionAffinity: Cookie }": "spec.sessionAffinity: found "Cookie"; want one of None, ClientIP",
      "{ selector: { a: b }, ports: [{ port: 80 }], sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }": "spec.sessionAffinityConfig: found it without an affinity to configure; want it only beside sessionAffinity: ClientIP",
      "{ selector: { a: b }, ports: [{ port: 80 }], trafficDistribution: PreferClose }": "spec.trafficDistribution: found a field that is not supported yet; want it left out",
      "{ selector: { a: b }, ports: [{ port: 80 }], type: LoadBalancer }": "spec.type: found "LoadBalancer"; want ClusterIP (other types are not supported yet)",
      "{ selector: { a: b }, ports: [{ port: 80, name: b }, { port: 81, name: b }] }": "spec.ports[1].name: found "b" a second time; want a name that no other item has",
      "{ selector: { a: b }, ports: [{ port: 80, nodePort: 30000 }] }": "spec.ports[0].nodePort: found a field that is not supported yet; want it left out",
      "{ selector: { a: b }, ports: [{ port: 80, protocol: UDP }] }": "spec.ports[0].protocol: found "UDP"; want TCP",
      "{ selector: { a: b }, ports: [{ port: 80, targetPort: 0 }] }": "spec.ports[0].targetPort: found 0; want a whole number, 1 to 65535",
      "{ selector: {}, ports: [{ port: 80 }] }": "spec.selector: found an empty map; want at least one label (a Service without selector is not supported yet)",
    }
  `)
})

test('a Workload', () => {
  expect(
    table('Workload', [
      '{}',
      '{ command: node a.ts }',
      '{ command: [] }',
      '{ command: [""] }',
      '{ command: [a], replicas: -1 }',
      '{ command: [a], env: { A: 1 } }',
      '{ command: [a], env: { "A B": x } }',
      '{ command: [a], env: { A: "a\\0b" } }',
      '{ command: [a], ports: [{ containerPort: 80 }, { containerPort: 80 }] }',
      '{ command: [a], readinessProbe: {} }',
      '{ command: [a], readinessProbe: { httpGet: { path: ready, port: 80 } } }',
      '{ command: [a], readinessProbe: { httpGet: { path: /, port: 80 }, tcpSocket: { port: 80 } } }',
      '{ command: [a], readinessProbe: { exec: { command: [a] } } }',
      '{ command: [a], securityContext: { runAsUser: 1337 } }',
      '{ command: [a], terminationGracePeriod: soon }',
      '{ command: [a], inject: "no" }',
    ]),
  ).toMatchInlineSnapshot(`
    {
      "{ command: [""] }": "spec.command[0]: found ""; want text of 1 to 32768 characters",
      "{ command: [] }": "spec.command: found a list of 0 items; want a list of 1 to 256 items, such as [python3, server.py]",
      "{ command: [a], env: { "A B": x } }": "spec.env["A B"]: found the key "A B"; want a name such as LOG_LEVEL",
      "{ command: [a], env: { A: "a\\0b" } }": "spec.env.A: found "a\\u0000b"; want text without NUL",
      "{ command: [a], env: { A: 1 } }": "spec.env.A: found 1; want text (in quotes: "1")",
      "{ command: [a], inject: "no" }": "spec.inject: found "no"; want true or false",
      "{ command: [a], ports: [{ containerPort: 80 }, { containerPort: 80 }] }": "spec.ports[1].containerPort: found "80" a second time; want a containerPort that no other item has",
      "{ command: [a], readinessProbe: { exec: { command: [a] } } }": "spec.readinessProbe.exec: found a field that is not supported yet; want it left out
    spec.readinessProbe: found neither httpGet nor tcpSocket; want exactly one of httpGet and tcpSocket",
      "{ command: [a], readinessProbe: { httpGet: { path: /, port: 80 }, tcpSocket: { port: 80 } } }": "spec.readinessProbe: found both httpGet and tcpSocket; want exactly one of httpGet and tcpSocket",
      "{ command: [a], readinessProbe: { httpGet: { path: ready, port: 80 } } }": "spec.readinessProbe.httpGet.path: found "ready"; want a path that begins with "/"",
      "{ command: [a], readinessProbe: {} }": "spec.readinessProbe: found neither httpGet nor tcpSocket; want exactly one of httpGet and tcpSocket",
      "{ command: [a], replicas: -1 }": "spec.replicas: found -1; want a whole number, 0 to 250",
      "{ command: [a], securityContext: { runAsUser: 1337 } }": "spec.securityContext.runAsUser: found 1337; want another id than 1337, which is the sidecar's",
      "{ command: [a], terminationGracePeriod: soon }": "spec.terminationGracePeriod: found "soon"; want a duration such as 250ms, 10s or 1h30m",
      "{ command: node a.ts }": "spec.command: found "node a.ts"; want a list of 1 to 256 items, such as [python3, server.py]",
      "{}": "spec.command: found nothing; want a list of 1 to 256 items, such as [python3, server.py]",
    }
  `)
})

test('the annotations of a Workload', () => {
  const of = (annotation: string) => problemsOf('Workload', '{ command: [a] }', `, annotations: { ${annotation} }`)
  expect(
    [
      'config.weft.dev/skip-inbound-port: "80"',
      'config.weft.dev/skip-inbound-ports: "80-"',
      'config.weft.dev/opaque-ports: "90-80"',
      'config.weft.dev/skip-outbound-ports: 80',
      'config.weft.dev/skip-subnets: 10.0.0.0',
    ].map(of),
  ).toMatchInlineSnapshot(`
    [
      "metadata.annotations["config.weft.dev/skip-inbound-port"]: found an unknown annotation; want "config.weft.dev/skip-inbound-ports" (known: config.weft.dev/skip-inbound-ports, config.weft.dev/skip-outbound-ports, config.weft.dev/opaque-ports, config.weft.dev/compat-ports, config.weft.dev/skip-subnets)",
      "metadata.annotations["config.weft.dev/skip-inbound-ports"]: found "80-"; want ports and ranges such as 3306,4000-4010",
      "metadata.annotations["config.weft.dev/opaque-ports"]: found "90-80"; want ports and ranges such as 3306,4000-4010",
      "metadata.annotations["config.weft.dev/skip-outbound-ports"]: found 80; want text (in quotes: "80")",
      "metadata.annotations["config.weft.dev/skip-subnets"]: found "10.0.0.0"; want address ranges such as 10.0.0.0/8,fd00::/8",
    ]
  `)
})

const parent = 'parentRefs: [{ group: "", kind: Service, name: a }]'
const rule = (text: string) => `{ ${parent}, rules: [{ ${text} }] }`

test('an HTTPRoute', () => {
  expect(
    table('HTTPRoute', [
      '{}',
      '{ parentRefs: [{ name: a }] }',
      '{ parentRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: a }] }',
      rule('filters: []'),
      rule('matchs: []'),
      rule('backendRefs: [{ name: a }]'),
      rule('backendRefs: [{ name: a, port: 80, weight: 1000001 }]'),
      rule('backendRefs: [{ name: a, port: 80, kind: Bucket }]'),
      rule('timeouts: { request: 1s, backendRequest: 2s }'),
      rule('timeouts: { request: 1.5s }'),
      rule('matches: [{ path: { value: a } }]'),
      rule('matches: [{ path: { value: /a?b } }]'),
      rule('matches: [{ path: { value: /a/../b } }]'),
      rule('matches: [{ path: { value: /a%2fb } }]'),
      rule('matches: [{ path: { type: Prefix, value: /a } }]'),
      rule('matches: [{ path: { type: RegularExpression, value: "(?<!a)b" } }]'),
      rule('matches: [{ headers: [{ name: a, type: RegularExpression, value: "(a{500}){500}" }] }]'),
      rule('matches: [{ headers: [{ name: A, value: b }, { name: a, value: c }] }]'),
      rule('matches: [{ headers: [{ name: "a b", value: c }] }]'),
      rule('matches: [{ queryParams: [{ name: a, value: "" }] }]'),
      rule('matches: [{ method: get }]'),
      `{ ${parent}, rules: [{ name: a }, { name: a }] }`,
      `{ ${parent}, rules: [] }`,
    ]),
  ).toMatchInlineSnapshot(`
    {
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [] }": "spec.rules: found a list of 0 items; want a list of 1 to 16 items",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ backendRefs: [{ name: a }] }] }": "spec.rules[0].backendRefs[0].port: found nothing; want a whole number, 1 to 65535",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ backendRefs: [{ name: a, port: 80, kind: Bucket }] }] }": "spec.rules[0].backendRefs[0].kind: found "Bucket"; want Service (other kinds are not supported yet)",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ backendRefs: [{ name: a, port: 80, weight: 1000001 }] }] }": "spec.rules[0].backendRefs[0].weight: found 1000001; want a whole number, 0 to 1000000",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ filters: [] }] }": "spec.rules[0].filters: found a field that is not supported yet; want it left out",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ headers: [{ name: "a b", value: c }] }] }] }": "spec.rules[0].matches[0].headers[0].name: found "a b"; want a name such as x-user",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ headers: [{ name: A, value: b }, { name: a, value: c }] }] }] }": "spec.rules[0].matches[0].headers[1].name: found "a" a second time; want each name once (a match can hold only one value)",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ headers: [{ name: a, type: RegularExpression, value: "(a{500}){500}" }] }] }] }": "spec.rules[0].matches[0].headers[0].value: found "(a{500}){500}"; want a simpler regular expression (about 250000 steps, at most 2000)",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ method: get }] }] }": "spec.rules[0].matches[0].method: found "get"; want one of GET, HEAD, POST, PUT, DELETE, CONNECT, OPTIONS, TRACE, PATCH",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ path: { type: Prefix, value: /a } }] }] }": "spec.rules[0].matches[0].path.type: found "Prefix"; want one of Exact, PathPrefix, RegularExpression",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ path: { type: RegularExpression, value: "(?<!a)b" } }] }] }": "spec.rules[0].matches[0].path.value: found "(?<!a)b"; want a regular expression in RE2 syntax (error parsing regexp: invalid named capture: \`(?<!a)b\`)",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ path: { value: /a%2fb } }] }] }": "spec.rules[0].matches[0].path.value: found "/a%2fb"; want a path that begins with "/", has no "//", dot segments, "%2F", "%5C", "#" or query",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ path: { value: /a/../b } }] }] }": "spec.rules[0].matches[0].path.value: found "/a/../b"; want a path that begins with "/", has no "//", dot segments, "%2F", "%5C", "#" or query",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ path: { value: /a?b } }] }] }": "spec.rules[0].matches[0].path.value: found "/a?b"; want a path that begins with "/", has no "//", dot segments, "%2F", "%5C", "#" or query",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ path: { value: a } }] }] }": "spec.rules[0].matches[0].path.value: found "a"; want a path that begins with "/", has no "//", dot segments, "%2F", "%5C", "#" or query",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matches: [{ queryParams: [{ name: a, value: "" }] }] }] }": "spec.rules[0].matches[0].queryParams[0].value: found ""; want text of 1 to 1024 characters",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ matchs: [] }] }": "spec.rules[0].matchs: found an unknown field; want "matches" (known here: name, matches, backendRefs, timeouts)",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ name: a }, { name: a }] }": "spec.rules[1].name: found "a" a second time; want a name that no other item has",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ timeouts: { request: 1.5s } }] }": "spec.rules[0].timeouts.request: found "1.5s"; want a duration such as 250ms, 10s or 1h30m",
      "{ parentRefs: [{ group: "", kind: Service, name: a }], rules: [{ timeouts: { request: 1s, backendRequest: 2s } }] }": "spec.rules[0].timeouts.backendRequest: found "2s"; want at most timeouts.request (1s)",
      "{ parentRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: a }] }": "spec.parentRefs[0].group: found "gateway.networking.k8s.io"; want group: "" (Service is of the core group)
    spec.parentRefs[0].kind: found "Gateway"; want Service (a Gateway as parent is not supported yet)",
      "{ parentRefs: [{ name: a }] }": "spec.parentRefs[0].group: found nothing; want group: "" (Service is of the core group)
    spec.parentRefs[0].kind: found nothing; want Service (a Gateway as parent is not supported yet)",
      "{}": "spec.parentRefs: found nothing; want a list of 1 to 32 items",
    }
  `)
})

test('the Gateway API\u2019s own limits on a route', () => {
  const times = (count: number, text: string) => `[${Array(count).fill(text).join(', ')}]`
  const first = (text: string) => problemsOf('HTTPRoute', text).split('\n')[0]
  expect(first(`{ ${parent}, rules: ${times(17, '{}')} }`)).toBe(
    'spec.rules: found a list of 17 items; want a list of 1 to 16 items',
  )
  expect(first(rule(`matches: ${times(65, '{}')}`))).toBe(
    'spec.rules[0].matches: found a list of 65 items; want a list of at most 64 items',
  )
  expect(first(`{ ${parent}, rules: ${times(3, `{ matches: ${times(43, '{}')} }`)} }`)).toBe(
    'spec.rules: found 129 matches; want at most 128 matches in all rules together',
  )
  expect(first(rule(`backendRefs: ${times(17, '{ name: a, port: 80 }')}`))).toContain('at most 16 items')
  expect(first(rule(`matches: [{ path: { value: /${'a'.repeat(1024)} } }]`))).toContain('at most 1024 characters')
  expect(first(rule(`matches: [{ path: { type: RegularExpression, value: ${'a'.repeat(1025)} } }]`))).toContain(
    'at most 1024 characters',
  )
})

const target = 'targetRefs: [{ group: "", kind: Service, name: a }]'

test('a TrafficPolicy', () => {
  expect(
    table('TrafficPolicy', [
      '{}',
      '{ targetRefs: [{ group: "", kind: HTTPRoute, name: a }] }',
      '{ targetRefs: [{ group: "", kind: Pod, name: a }] }',
      `{ ${target}, loadBalancing: { algorithm: Random } }`,
      `{ ${target}, retries: { attempts: 11 } }`,
      `{ ${target}, retries: { statuses: [200] } }`,
      `{ ${target}, retries: { methods: [CONNECT] } }`,
      `{ ${target}, retries: { budget: { percent: 101 } } }`,
      `{ ${target}, retries: { grpcStatuses: [OK] } }`,
      `{ ${target}, retries: { grpcStatuses: [14] } }`,
      `{ ${target}, connections: { betweenSidecars: HTTP3 } }`,
      '{ targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: a }], connections: {} }',
      `{ ${target}, retry: { attempts: 1 } }`,
      `{ ${target}, timeouts: { connect: 0s } }`,
      `{ ${target}, timeouts: { request: 10 } }`,
      `{ ${target}, circuitBreaker: { errorThresholdPercent: 0 } }`,
      `{ ${target}, outlierDetection: { consecutive5xx: 5 } }`,
      '{ targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: a }], loadBalancing: {}, outlierDetection: {}, timeouts: { connect: 1s } }',
    ]),
  ).toMatchInlineSnapshot(`
    {
      "{ targetRefs: [{ group: "", kind: HTTPRoute, name: a }] }": "spec.targetRefs[0].group: found ""; want "gateway.networking.k8s.io" for kind HTTPRoute",
      "{ targetRefs: [{ group: "", kind: Pod, name: a }] }": "spec.targetRefs[0].kind: found "Pod"; want one of Service, HTTPRoute",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], circuitBreaker: { errorThresholdPercent: 0 } }": "spec.circuitBreaker.errorThresholdPercent: found 0; want a whole number, 1 to 100",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], connections: { betweenSidecars: HTTP3 } }": "spec.connections.betweenSidecars: found "HTTP3"; want one of HTTP2, HTTP1",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], loadBalancing: { algorithm: Random } }": "spec.loadBalancing.algorithm: found "Random"; want one of RoundRobin, LeastRequest",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], outlierDetection: { consecutive5xx: 5 } }": "spec.outlierDetection.consecutive5xx: found an unknown field; want "consecutiveFailures"",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retries: { attempts: 11 } }": "spec.retries.attempts: found 11; want a whole number, 0 to 10",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retries: { budget: { percent: 101 } } }": "spec.retries.budget.percent: found 101; want a whole number, 0 to 100",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retries: { grpcStatuses: [14] } }": "spec.retries.grpcStatuses[0]: found 14; want one of CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retries: { grpcStatuses: [OK] } }": "spec.retries.grpcStatuses[0]: found "OK"; want one of CANCELLED, UNKNOWN, INVALID_ARGUMENT, DEADLINE_EXCEEDED, NOT_FOUND, ALREADY_EXISTS, PERMISSION_DENIED, RESOURCE_EXHAUSTED, FAILED_PRECONDITION, ABORTED, OUT_OF_RANGE, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS, UNAUTHENTICATED",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retries: { methods: [CONNECT] } }": "spec.retries.methods[0]: found "CONNECT"; want one of GET, HEAD, POST, PUT, DELETE, OPTIONS, TRACE, PATCH",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retries: { statuses: [200] } }": "spec.retries.statuses[0]: found 200; want a whole number, 400 to 599",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], retry: { attempts: 1 } }": "spec.retry: found an unknown field; want "retries" (known here: targetRefs, loadBalancing, retries, timeouts, circuitBreaker, outlierDetection, connections)",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], timeouts: { connect: 0s } }": "spec.timeouts.connect: found "0s"; want a duration above 0, such as 250ms, 10s or 1h30m",
      "{ targetRefs: [{ group: "", kind: Service, name: a }], timeouts: { request: 10 } }": "spec.timeouts.request: found 10; want a duration such as 250ms, 10s or 1h30m",
      "{ targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: a }], connections: {} }": "spec.connections: found it beside a targetRef of kind HTTPRoute; want it left out: it chooses endpoints, so it attaches to a Service",
      "{ targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: a }], loadBalancing: {}, outlierDetection: {}, timeouts: { connect: 1s } }": "spec.loadBalancing: found it beside a targetRef of kind HTTPRoute; want it left out: it chooses endpoints, so it attaches to a Service
    spec.outlierDetection: found it beside a targetRef of kind HTTPRoute; want it left out: it chooses endpoints, so it attaches to a Service
    spec.timeouts.connect: found it beside a targetRef of kind HTTPRoute; want it left out: it chooses endpoints, so it attaches to a Service",
      "{}": "spec.targetRefs: found nothing; want a list of 1 to 16 items",
    }
  `)
})

test('a MeshPolicy', () => {
  expect(
    table('MeshPolicy', [
      '{ mode: Strict }',
      '{ mtls: { mode: strict } }',
      '{ selector: { matchLabels: {} } }',
      '{ selector: { app: a } }',
      '{ tracing: { endpoint: "10.0.0.1:4318" } }',
      '{ tracing: { samplingPercent: 101 } }',
      '{ tracing: { propagators: [w3c] } }',
      '{ accessLog: { enabled: "on" } }',
      '{ compat: { port: 80 } }',
      '{ compat: { ports: "8080" } }',
      '{ compat: { ports: [8080] } }',
      '{ compat: { ports: [{ port: 0, endPort: 65536 }] } }',
      '{ compat: { ports: [{ port: 9000, endPort: 8999 }] } }',
      '{ compat: { ports: [{ endPort: 8999 }] } }',
    ]),
  ).toMatchInlineSnapshot(`
    {
      "{ accessLog: { enabled: "on" } }": "spec.accessLog.enabled: found "on"; want true or false",
      "{ compat: { port: 80 } }": "spec.compat.port: found an unknown field; want "ports" (known here: ports)",
      "{ compat: { ports: "8080" } }": "spec.compat.ports: found "8080"; want a list of at most 100 items, such as [{ port: 8080 }, { port: 9000, endPort: 9010 }]",
      "{ compat: { ports: [8080] } }": "spec.compat.ports[0]: found 8080; want a map with the fields port, endPort",
      "{ compat: { ports: [{ endPort: 8999 }] } }": "spec.compat.ports[0].port: found nothing; want a whole number, 1 to 65535",
      "{ compat: { ports: [{ port: 0, endPort: 65536 }] } }": "spec.compat.ports[0].port: found 0; want a whole number, 1 to 65535
    spec.compat.ports[0].endPort: found 65536; want a whole number, 1 to 65535",
      "{ compat: { ports: [{ port: 9000, endPort: 8999 }] } }": "spec.compat.ports[0].endPort: found 8999, below 9000; want a port that is not below port",
      "{ mode: Strict }": "spec.mode: found an unknown field; want one of selector, mtls, tracing, accessLog, compat",
      "{ mtls: { mode: strict } }": "spec.mtls.mode: found "strict"; want one of Strict, Permissive, Disabled",
      "{ selector: { app: a } }": "spec.selector.matchLabels: found nothing; want a map of text to text
    spec.selector.app: found an unknown field; want "matchLabels"",
      "{ selector: { matchLabels: {} } }": "spec.selector.matchLabels: found an empty map; want at least one label; leave selector out for the whole namespace",
      "{ tracing: { endpoint: "10.0.0.1:4318" } }": "spec.tracing.endpoint: found "10.0.0.1:4318"; want a URL such as http://10.77.0.1:4318",
      "{ tracing: { propagators: [w3c] } }": "spec.tracing.propagators[0]: found "w3c"; want one of tracecontext, baggage, b3, b3multi",
      "{ tracing: { samplingPercent: 101 } }": "spec.tracing.samplingPercent: found 101; want a number, 0 to 100",
    }
  `)
})
