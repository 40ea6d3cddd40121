import { expect, test } from 'vitest'
import { compile, describeFaults } from './compile.ts'
import { load, meshPolicy, pod, shop, world } from './shop.fixture.ts'

const PODS = [pod('catalog-0', 10), pod('web-0', 30, { namespace: 'front', labels: { app: 'web' } })]
const modes = (...texts: readonly string[]) => {
  const model = shop(texts, PODS)
  return [model.workload('catalog-0')?.mtls, model.workload('web-0')?.mtls]
}

const mesh = meshPolicy('mesh', 'weft-system', 'mtls: { mode: Permissive }')
const namespace = meshPolicy('namespace', 'shop', 'mtls: { mode: Disabled }')
const workloads = meshPolicy('workloads', 'shop', 'selector: { matchLabels: { app: catalog } }, mtls: { mode: Strict }')
const everywhere = meshPolicy(
  'everywhere',
  'weft-system',
  'selector: { matchLabels: { app: web } }, mtls: { mode: Disabled }',
)

test.each([
  ['nothing', [], ['Strict', 'Strict']],
  ['one in weft-system is for the mesh', [mesh], ['Permissive', 'Permissive']],
  ['one elsewhere is for its namespace', [namespace], ['Disabled', 'Strict']],
  ['a namespace beats the mesh', [mesh, namespace], ['Disabled', 'Permissive']],
  ['a selector beats the namespace', [mesh, namespace, workloads], ['Strict', 'Permissive']],
  ['a selector in weft-system picks in every namespace', [mesh, everywhere], ['Permissive', 'Disabled']],
  [
    'a namespace does not beat a selector in weft-system',
    [everywhere, meshPolicy('n', 'front', 'mtls: { mode: Strict }')],
    ['Strict', 'Disabled'],
  ],
])('%s', (_, texts, expected) => {
  expect(modes(...texts)).toEqual(expected)
  expect(describeFaults(shop(texts, PODS).statuses)).toEqual([])
})

test('where Weft is in another namespace, a policy there is for the mesh, and one in weft-system for that namespace', () => {
  const { mesh: named, ...rest } = world(PODS)
  const elsewhere = { ...rest, mesh: { ...named, systemNamespace: 'mesh-system' } }
  const { workload } = compile(
    load(
      meshPolicy('mesh', 'mesh-system', 'mtls: { mode: Permissive }'),
      meshPolicy('old', 'weft-system', 'mtls: { mode: Disabled }'),
      workloads,
    ),
    elsewhere,
  )
  expect([workload('catalog-0')?.mtls, workload('web-0')?.mtls]).toEqual(['Strict', 'Permissive'])
})

test('the most specific wins per field, and what it leaves open comes from the wider', () => {
  const model = shop(
    [
      meshPolicy('mesh', 'weft-system', 'tracing: { samplingPercent: 100 }, accessLog: { enabled: true }'),
      meshPolicy('own', 'shop', 'tracing: { samplingPercent: 0.5 }'),
    ],
    PODS,
  )
  expect(model.workload('catalog-0')).toMatchObject({ accessLog: true, tracing: { samplingPercent: 0.5 } })
  expect(model.workloadObjects('catalog-0').map(({ name }) => name)).toEqual(['own', 'mesh'])
  expect(model.workloadObjects('web-0').map(({ name }) => name)).toEqual(['mesh'])
})

test('two of the same reach conflict only in a field that both set; the first by name wins', () => {
  const model = shop(
    [
      meshPolicy('b', 'shop', 'mtls: { mode: Disabled }, accessLog: { enabled: true }'),
      meshPolicy('a', 'shop', 'mtls: { mode: Permissive }'),
    ],
    PODS,
  )
  expect(model.workload('catalog-0')).toMatchObject({ mtls: 'Permissive', accessLog: true })
  expect(describeFaults(model.statuses)).toEqual([
    'MeshPolicy shop/b: Conflicted: spec.mtls.mode is set by MeshPolicy shop/a, which is as specific and older or first by name; other fields are in force',
  ])
})

test('ports of the Compat engine are a field like others: the most specific list stands for itself, and a rival is told', () => {
  const model = shop(
    [
      meshPolicy('mesh', 'weft-system', 'compat: { ports: [{ port: 1 }] }, accessLog: { enabled: true }'),
      meshPolicy('b', 'shop', 'compat: { ports: [{ port: 2 }] }'),
      meshPolicy('a', 'shop', 'compat: { ports: [{ port: 8080 }] }'),
    ],
    PODS,
  )
  expect(model.workload('catalog-0')).toMatchObject({ accessLog: true, ports: [{ port: 8080, engine: 'compat' }] })
  expect(model.workloadObjects('catalog-0').map(({ name }) => name)).toEqual(['a', 'mesh'])
  expect(describeFaults(model.statuses)).toEqual([
    'MeshPolicy shop/b: Conflicted: spec.compat.ports is set by MeshPolicy shop/a, which is as specific and older or first by name; other fields are in force',
  ])
})

test.each([
  ['', 'http://10.77.0.1:4317', 'grpc'],
  ['protocol: http', 'http://10.77.0.1:4318', 'http'],
  ['endpoint: "http://192.0.2.1:4318"', 'http://192.0.2.1:4318', 'http'],
  ['endpoint: "http://192.0.2.1:4317"', 'http://192.0.2.1:4317', 'grpc'],
  ['endpoint: "http://192.0.2.1:4318", protocol: grpc', 'http://192.0.2.1:4318', 'grpc'],
])(
  'spans go to control unless told otherwise, and a port of OTLP tells the protocol: {%s}',
  (tracing, endpoint, protocol) => {
    const model = shop([meshPolicy('m', 'weft-system', `tracing: { ${tracing} }`)], PODS)
    expect(model.workload('web-0')?.tracing).toMatchObject({ endpoint, protocol })
  },
)

test('a pod that takes no mutual TLS has no identity to prove', () => {
  const model = shop([namespace], PODS)
  expect(model.endpoints('shop/catalog:80', 'ipv4').map(({ identity }) => identity)).toEqual([''])
})
