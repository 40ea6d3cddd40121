import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { loadDocuments, loadLayers, ofKind } from './load.ts'
import { formatProblem } from './problem.ts'

const problemsIn = (text: string) => loadDocuments([{ path: 'mesh.yaml', text }]).problems.map(formatProblem)

const SERVICE =
  'apiVersion: v1\nkind: Service\nmetadata: { name: catalog, namespace: shop }\nspec: { selector: { app: catalog }, ports: [{ port: 80 }] }\n'

test('a file of several documents gives the resources in order, with defaults filled in', () => {
  const text = `# a comment\n---\n${SERVICE}---\n---\napiVersion: weft.dev/v1alpha1\nkind: Workload\nmetadata: { name: catalog }\nspec: { command: [node, a.ts] }\n`
  const { documents, problems } = loadDocuments([{ path: 'mesh.yaml', text }])
  expect(problems).toEqual([])
  expect(documents.map(({ name, file, line }) => [name, file, line])).toEqual([
    ['Service shop/catalog', 'mesh.yaml', 3],
    ['Workload default/catalog', 'mesh.yaml', 9],
  ])
  expect(ofKind(documents, 'Workload')[0]).toMatchObject({
    metadata: { namespace: 'default', labels: {}, annotations: {} },
    spec: { serviceAccount: 'default', replicas: 1, env: {}, ports: [], inject: true, terminationGracePeriod: '30s' },
  })
})

test('an empty file has nothing in it', () => {
  for (const text of ['', '---', '# nothing', '\n\n'])
    expect(loadDocuments([{ path: 'a', text }])).toEqual({ documents: [], problems: [] })
})

test('what `kubectl get -o yaml` adds is taken', () => {
  const text = `${SERVICE.replace('namespace: shop }', 'namespace: shop, uid: x, resourceVersion: "1", generation: 2, managedFields: [], creationTimestamp: "2026-01-01T00:00:00Z" }')}status: { loadBalancer: {} }\n`
  expect(problemsIn(text)).toEqual([])
})

describe('a problem names file, line, column, object, path, what was found and what would be right', () => {
  const mistakes = {
    'an unknown field': SERVICE.replace('ports:', 'prots:'),
    'a field of Kubernetes that is not supported': SERVICE.replace('ports:', 'clusterIP: None, ports:'),
    'a value out of range': SERVICE.replace('port: 80', 'port: 80000'),
    'text where a number belongs': SERVICE.replace('port: 80', 'port: "80"'),
    'a number where text belongs': SERVICE.replace('app: catalog', 'app: 1'),
    'nothing after the colon': SERVICE.replace('{ selector: { app: catalog }, ports: [{ port: 80 }] }', ''),
    'a list where a map belongs': SERVICE.replace('{ app: catalog }', '[app]'),
    'a bad key': SERVICE.replace('app: catalog', '"a b": catalog'),
    'a missing field': SERVICE.replace('name: catalog, ', ''),
    'a kind that is not known': SERVICE.replace('Service', 'Servcie'),
    'a kind of a cluster': SERVICE.replace('Service', 'Deployment'),
    'no kind': 'apiVersion: v1\n',
    'the wrong version': SERVICE.replace('v1', 'v2'),
    'no object': '- 1\n',
    'a long text': SERVICE.replace('name: catalog', `name: ${'x'.repeat(100)}`),
    'broken YAML': `${SERVICE}  bad: [\n`,
    'a key twice': SERVICE.replace('kind: Service', 'kind: Service\nkind: Mesh'),
    'an unknown tag': SERVICE.replace('port: 80', 'port: !!js/function 80'),
    'a reserved key': SERVICE.replace('app: catalog', '__proto__: catalog'),
    'the same object twice': `${SERVICE}---\n${SERVICE}`,
  }

  test('in one line each', () => {
    const lines = Object.entries(mistakes).map(([name, text]) => [name, problemsIn(text)])
    expect(Object.fromEntries(lines)).toMatchInlineSnapshot(`
      {
        "a bad key": [
          "mesh.yaml:4:21: Service shop/catalog: spec.selector["a b"]: found the key "a b"; want a key such as app or example.com/team",
        ],
        "a field of Kubernetes that is not supported": [
          "mesh.yaml:4:37: Service shop/catalog: spec.clusterIP: found a field that is not supported yet; want it left out",
        ],
        "a key twice": [
          "mesh.yaml:3:1: document 1: found what YAML does not allow (Map keys must be unique); want valid YAML 1.2",
        ],
        "a kind of a cluster": [
          "mesh.yaml:2:7: Deployment shop/catalog: kind: found "Deployment"; want "Workload", which stands in for it on one machine (docs/standalone.md)",
        ],
        "a kind that is not known": [
          "mesh.yaml:2:7: Servcie shop/catalog: kind: found "Servcie"; want "Service" (known: Mesh, Workload, Service, HTTPRoute, TrafficPolicy, MeshPolicy)",
        ],
        "a list where a map belongs": [
          "mesh.yaml:4:19: Service shop/catalog: spec.selector: found a list of 1 item; want a map of text to text",
        ],
        "a long text": [
          "mesh.yaml:3:19: Service shop/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx: metadata.name: found "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"... (100 characters); want a name of lower-case letters, digits and "-", at most 63, such as catalog-v2",
        ],
        "a missing field": [
          "mesh.yaml:3:1: document 1: metadata.name: found nothing; want a name of lower-case letters, digits and "-", at most 63, such as catalog-v2",
        ],
        "a number where text belongs": [
          "mesh.yaml:4:26: Service shop/catalog: spec.selector.app: found 1; want a label value: letters, digits, "-", "_", ".", at most 63 (in quotes: "1")",
        ],
        "a reserved key": [
          "mesh.yaml:4:21: document 1: found the key "__proto__"; want another name: this one is reserved",
        ],
        "a value out of range": [
          "mesh.yaml:4:53: Service shop/catalog: spec.ports[0].port: found 80000; want a whole number, 1 to 65535",
        ],
        "an unknown field": [
          "mesh.yaml:4:1: Service shop/catalog: spec.ports: found nothing; want a list of 1 to 100 items",
          "mesh.yaml:4:37: Service shop/catalog: spec.prots: found an unknown field; want "ports" (known here: selector, ports, type, sessionAffinity, sessionAffinityConfig, internalTrafficPolicy, publishNotReadyAddresses, ipFamilyPolicy)",
        ],
        "an unknown tag": [
          "mesh.yaml:4:53: document 1: found what YAML does not allow (Unresolved tag: tag:yaml.org,2002:js/function); want valid YAML 1.2",
        ],
        "broken YAML": [
          "mesh.yaml:5:1: document 1: found what YAML does not allow (All mapping items must start at the same column); want valid YAML 1.2",
          "mesh.yaml:6:1: document 1: found what YAML does not allow (Flow sequence in block collection must be sufficiently indented and end with a ]); want valid YAML 1.2",
        ],
        "no kind": [
          "mesh.yaml:1:1: document 1: kind: found nothing; want one of Mesh, Workload, Service, HTTPRoute, TrafficPolicy, MeshPolicy",
        ],
        "no object": [
          "mesh.yaml:1:1: document 1: found a list of 1 item; want an object with apiVersion, kind, metadata and spec",
        ],
        "nothing after the colon": [
          "mesh.yaml:4:7: Service shop/catalog: spec: found nothing (null); want a map with the fields selector, ports, type, sessionAffinity, sessionAffinityConfig, internalTrafficPolicy, publishNotReadyAddresses, ipFamilyPolicy",
        ],
        "text where a number belongs": [
          "mesh.yaml:4:53: Service shop/catalog: spec.ports[0].port: found "80"; want a whole number, 1 to 65535 (without quotes: 80)",
        ],
        "the same object twice": [
          "mesh.yaml:6:1: Service shop/catalog: metadata.name: found the same object a second time (the other: mesh.yaml:1); want each object once",
        ],
        "the wrong version": [
          "mesh.yaml:1:13: Service shop/catalog: apiVersion: found "v2"; want v1 for kind Service",
        ],
      }
    `)
  })

  test('all of a file at once', () => {
    expect(problemsIn(SERVICE.replace('port: 80', 'port: 0, prot: TCP').replace('shop', 'Shop'))).toHaveLength(3)
  })

  test('at the place where it stands', () => {
    const text =
      '\n\nkind: Service\napiVersion: v1\nmetadata:\n  name: a\nspec:\n  selector: { app: a }\n  ports:\n    - port: 1\n    - name: b\n      port: 99999\n    - name: c\n'
    expect(loadDocuments([{ path: 'm', text }]).problems.map(({ line, column, path }) => [line, column, path])).toEqual(
      [
        [12, 13, 'spec.ports[1].port'],
        [13, 7, 'spec.ports[2].port'],
      ],
    )
  })
})

test('objects that exclude each other are a problem that names both places', () => {
  const mesh = (name: string) => `apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: ${name} }\n`
  const workload = (namespace: string) =>
    `apiVersion: weft.dev/v1alpha1\nkind: Workload\nmetadata: { name: web, namespace: ${namespace} }\nspec: { command: [a] }\n`
  const { problems } = loadDocuments([
    { path: 'a.yaml', text: [mesh('one'), workload('x'), SERVICE].join('---\n') },
    { path: 'b.yaml', text: [mesh('two'), workload('y'), SERVICE].join('---\n') },
  ])
  expect(problems.map(formatProblem)).toMatchInlineSnapshot(`
    [
      "b.yaml:1:1: Mesh two: metadata.name: found a second Mesh (the other: a.yaml:1); want one Mesh",
      "b.yaml:5:1: Workload y/web: metadata.name: found a Workload of this name in another namespace (the other: a.yaml:5); want a name of its own: pods of one machine share one list of names",
      "b.yaml:10:1: Service shop/catalog: metadata.name: found the same object a second time (the other: a.yaml:10); want each object once",
    ]
  `)
})

test('in layers a later file replaces the objects of an earlier one and adds its own', () => {
  const base = { path: 'mesh.yaml', text: SERVICE }
  const over = {
    path: 'applied.yaml',
    text: `${SERVICE.replace('80', '81')}---\n${SERVICE.replace('catalog', 'other')}`,
  }
  const { documents, problems } = loadLayers([base, over])
  expect(problems).toEqual([])
  expect(documents.map(({ name, file }) => [name, file])).toEqual([
    ['Service shop/catalog', 'applied.yaml'],
    ['Service shop/other', 'applied.yaml'],
  ])
  expect(loadLayers([base, { path: 'twice.yaml', text: `${SERVICE}---\n${SERVICE}` }]).problems).toHaveLength(1)
})

describe('hostile YAML is refused in bounded time, with one or a hundred problems and no exception', () => {
  const bomb = [
    'a: &a [1, 1, 1, 1, 1, 1, 1, 1, 1]',
    ...Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [${Array(9).fill(`*${i === 0 ? 'a' : `b${i - 1}`}`)}]`),
  ]
  test.each([
    ['brackets within brackets', '['.repeat(1_000_000)],
    ['lists within lists', '- '.repeat(90_000)],
    ['maps within maps', Array.from({ length: 1000 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['explicit keys within keys', '? '.repeat(60_000)],
    ['a bomb of aliases', bomb.join('\n')],
    ['an alias within its own anchor', 'a: &a [*a]'],
    ['an alias as a key', 'a: &a b\n*a : c'],
    ['more than a megabyte', '#'.repeat(1024 * 1024 + 1)],
    ['a list without end', `a: [${'1,'.repeat(400_000)}]`],
    ['a map without end', Array.from({ length: 20_000 }, (_, i) => `k${i}: 1`).join('\n')],
    ['documents without end', '---\na: 1\n'.repeat(20_000)],
    ['quotes without end', '"'.repeat(900_000)],
    ['anchors without end', '&a '.repeat(60_000)],
    ['bytes that are no text', '\u0000\u0001\u0002\uFFFF'],
    ['binary', 'a: !!binary R0lGODlhDAAMAIQAAP'],
    ['a merge key', `a: &a { kind: Service }\n<<: *a`],
  ])('%s', (_, text) => {
    const started = performance.now()
    const problems = problemsIn(text)
    expect(problems.length).toBeGreaterThanOrEqual(1)
    expect(problems.length).toBeLessThanOrEqual(101)
    expect(performance.now() - started).toBeLessThan(10_000)
    expect(problems[0]?.length).toBeLessThan(600)
  })

  test.each(['__proto__', 'constructor', 'prototype'])('a key %s reaches no prototype, wherever it stands', (key) => {
    for (const text of [
      `${key}: { polluted: 1 }`,
      `metadata: { labels: { ${key}: { polluted: 1 } } }`,
      `a: [{ "${key}": 1 }]`,
    ]) {
      expect(problemsIn(text)[0]).toContain(`the key "${key}"`)
    }
    expect(({} as { polluted?: number }).polluted).toBeUndefined()
  })

  test('whatever a document holds, loading gives resources or problems and never throws', () => {
    const value = fc.jsonValue({ maxDepth: 4 })
    const document = fc.record(
      {
        apiVersion: fc.oneof(fc.constantFrom('v1', 'weft.dev/v1alpha1', 'gateway.networking.k8s.io/v1'), value),
        kind: fc.oneof(
          fc.constantFrom('Service', 'Workload', 'HTTPRoute', 'TrafficPolicy', 'MeshPolicy', 'Mesh'),
          value,
        ),
        metadata: fc.oneof(fc.record({ name: fc.oneof(fc.constant('a'), value) }), value),
        spec: fc.oneof(
          fc.dictionary(
            fc.constantFrom('ports', 'selector', 'rules', 'parentRefs', 'command', 'env', 'targetRefs', 'retries'),
            value,
          ),
          value,
        ),
      },
      { requiredKeys: [] },
    )
    fc.assert(
      fc.property(document, (given) => {
        const { documents, problems } = loadDocuments([{ path: 'm', text: JSON.stringify(given) }])
        expect(documents.length + problems.length).toBeGreaterThan(0)
        for (const problem of problems) expect(formatProblem(problem)).toMatch(/found .+; want .+/s)
      }),
      { numRuns: 1500 },
    )
  })
})
