import { expect, test } from 'vitest'
import { decideInjection } from './eligible.ts'
import { shopPod } from './pod.fixture.ts'

interface Case {
  readonly pod?: string
  readonly ofNamespace?: string
  readonly name?: string
  readonly spec?: object
  readonly container?: object
  readonly annotations?: Record<string, string>
}

function decide({ pod, ofNamespace, name = 'shop', spec = {}, container = {}, annotations = {} }: Case) {
  const labelled = (word: string | undefined) => (word === undefined ? {} : { 'weft.dev/inject': word })
  return decideInjection(shopPod({ metadata: { labels: labelled(pod), annotations }, spec, container }), {
    namespace: name,
    namespaceLabels: labelled(ofNamespace),
    ownNamespace: 'weft-system',
  })
}

test.each([
  [undefined, undefined, 'skip'],
  [undefined, 'enabled', 'inject'],
  [undefined, 'disabled', 'skip'],
  ['disabled', 'enabled', 'skip'],
  ['enabled', 'disabled', 'inject'],
  ['enabled', undefined, 'inject'],
])('pod %s in a namespace %s: %s, as the label of the pod wins', (pod, ofNamespace, kind) => {
  expect(decide({ ...(pod && { pod }), ...(ofNamespace && { ofNamespace }) }).kind).toBe(kind)
})

test.each(['kube-system', 'kube-public', 'kube-node-lease', 'weft-system'])(
  'never in %s, whatever the labels',
  (name) => {
    expect(decide({ pod: 'enabled', ofNamespace: 'enabled', name })).toEqual({ kind: 'skip' })
  },
)

test('a pod that the kubelet made from a file is left alone', () => {
  expect(decide({ pod: 'enabled', annotations: { 'kubernetes.io/config.mirror': 'x' } }).kind).toBe('skip')
})

test('a word that is neither is told with where it stands', () => {
  expect(decide({ ofNamespace: 'true' })).toEqual({
    kind: 'refuse',
    reason: 'the namespace\'s label weft.dev/inject is "true"; want enabled or disabled',
  })
  expect(decide({ pod: 'yes', ofNamespace: 'enabled' })).toMatchObject({
    reason: expect.stringContaining("pod's label"),
  })
})

test.each([
  ['the network of the node', { spec: { hostNetwork: true } }, 'hostNetwork'],
  ['Windows', { spec: { os: { name: 'windows' } } }, 'Windows'],
  [
    "the sidecar's user for the pod",
    { spec: { securityContext: { runAsUser: 1337 } } },
    'catalog runs as user or group 1337',
  ],
  ["the sidecar's user", { container: { securityContext: { runAsUser: 1337 } } }, 'catalog runs as user or group 1337'],
  [
    "the sidecar's group",
    { container: { securityContext: { runAsGroup: 1337 } } },
    'catalog runs as user or group 1337',
  ],
  [
    "the sidecar's user in an init container",
    { spec: { initContainers: [{ name: 'early', securityContext: { runAsUser: 1337 } }] } },
    'early runs as user or group 1337',
  ],
  ['a container of our name', { container: { name: 'weft-proxy' } }, 'a container named weft-proxy'],
  ['a volume of our name', { spec: { volumes: [{ name: 'weft-state' }] } }, 'a volume named weft-state'],
])('a pod with %s is refused with the reason, and only where it was asked for', (_what, pod, reason) => {
  expect(decide({ ...pod, ofNamespace: 'enabled' })).toEqual({
    kind: 'refuse',
    reason: expect.stringContaining(reason),
  })
  expect(decide(pod)).toEqual({ kind: 'skip' })
})

test('a container that says another user than the pod does not run as the sidecar', () => {
  const spec = { securityContext: { runAsUser: 1337 }, initContainers: [] }

  expect(decide({ ofNamespace: 'enabled', spec, container: { securityContext: { runAsUser: 1000 } } }).kind).toBe(
    'inject',
  )
})

test('a pod that has its sidecar already is decided as before', () => {
  const initContainers = [{ name: 'weft-init' }, { name: 'weft-proxy', securityContext: { runAsUser: 1337 } }]

  expect(decide({ ofNamespace: 'enabled', spec: { initContainers, volumes: [{ name: 'weft-state' }] } }).kind).toBe(
    'inject',
  )
})
