import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Kubectl, startKubectl } from './api-server.ts'
import { helmTemplate } from './helm.ts'

let kubectl: Kubectl
beforeAll(async () => {
  kubectl = await startKubectl()
  ok(['create', 'namespace', 'weft-system'])
  ok(['label', 'namespace', 'weft-system', 'pod-security.kubernetes.io/enforce=restricted'])
  // A dry run makes no namespace for what is in it.
  ok(['apply', '-f', '-'], JSON.stringify(SHOP))
  ok(['apply', '-f', '-'], helmTemplate('weft-crds'))
  ok(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=30s'])
  ok(['apply', '-f', '-'], helmTemplate('weft', '-f', 'charts/weft/values-ha.yaml'))
  // No control answers here: each policy would wait its 5 s for one.
  ok(['delete', 'validatingwebhookconfiguration', 'weft-control'])
})
afterAll(() => kubectl[Symbol.asyncDispose]())

const SHOP = {
  apiVersion: 'v1',
  kind: 'Namespace',
  metadata: { name: 'shop', labels: { 'pod-security.kubernetes.io/warn': 'restricted' } },
}

function ok(parameters: readonly string[], input?: string): string {
  const { status, output } = kubectl.run(parameters, input)
  if (status !== 0) throw new Error(output)
  return output
}

test.each(['minimal', 'ha', 'demo'])('the API server takes every object of preset %s, without a warning', (preset) => {
  const printed = helmTemplate('weft', '-f', `charts/weft/values-${preset}.yaml`)
  const output = ok(['apply', '--dry-run=server', '--validate=strict', '-f', '-'], printed)
  expect(output.split('\n').filter((line) => line !== '' && !line.endsWith('(server dry run)'))).toEqual([])
})

test('the pods of Weft, Jaeger and the shop pass the Pod Security Standard "restricted"', () => {
  ok(['label', 'namespace', 'weft-system', 'pod-security.kubernetes.io/warn=restricted'])
  const dryRun = (text: string) => ok(['apply', '--dry-run=server', '-f', '-'], text)
  const demo = helmTemplate('weft', '-f', 'charts/weft/values-demo.yaml')
  expect(dryRun(demo)).not.toContain('would violate')
  // What would not pass is told: else the line above could not fail.
  const told = dryRun(demo.replaceAll('allowPrivilegeEscalation: false', 'allowPrivilegeEscalation: true'))
  const names = [...told.matchAll(/\(container "([^"]+)" must set/g)].map(([, name]) => name)
  const shop = ['cart', 'catalog', 'price-feed', 'redis', 'report', 'reviews', 'web']
  expect([...new Set(names)].toSorted()).toEqual([...shop, 'certs', 'control', 'injector', 'jaeger'].toSorted())
})

const SERVICE = '{group: "", kind: Service, name: catalog}'
const ROUTE = '{group: gateway.networking.k8s.io, kind: HTTPRoute, name: catalog}'

function apply(kind: string, spec: string): string {
  const text = `apiVersion: weft.dev/v1alpha1\nkind: ${kind}\nmetadata: {name: one, namespace: default}\nspec: ${spec}\n`
  const { output } = kubectl.run(['apply', '--dry-run=server', '-f', '-'], text)
  return (
    output
      .split('\n')
      .map((line) => line.replace(/^\* |^The \w+ "one" is invalid: /g, ''))
      .filter((line) => line !== '' && !line.includes('some validation rules were not checked'))
      // The API server tells them in any order.
      .toSorted()
      .join('\n')
  )
}

test.each([
  [
    'TrafficPolicy',
    `{targetRefs: [${SERVICE}, ${ROUTE}], retries: {attempts: 0, perTryTimeout: 0s}, circuitBreaker: {}}`,
  ],
  [
    'TrafficPolicy',
    `{targetRefs: [${SERVICE}], timeouts: {connect: 1h30m, idle: 0s}, loadBalancing: {algorithm: RoundRobin}}`,
  ],
  ['MeshPolicy', '{}'],
  ['MeshPolicy', '{compat: {ports: [{port: 8080}, {port: 9000, endPort: 9000}]}}'],
  [
    'MeshPolicy',
    '{selector: {matchLabels: {app: web, example.com/team: ""}}, tracing: {endpoint: "http://[::1]:4318", samplingPercent: 0.1}}',
  ],
])('%s %s is taken', (kind, spec) => {
  expect(apply(kind, spec)).toMatch(/(created|configured|unchanged) \(server dry run\)$/)
})

test('what is wrong is refused with the field and what would be right', () => {
  const answers = Object.fromEntries(
    (
      [
        ['TrafficPolicy', `{targetRefs: [${SERVICE}], timeouts: {connect: 0s, request: soon, idle: 100000h}}`],
        [
          'TrafficPolicy',
          `{targetRefs: [${SERVICE}, ${ROUTE}], timeouts: {connect: 1s}, loadBalancing: {}, outlierDetection: {}}`,
        ],
        ['TrafficPolicy', '{targetRefs: [{group: apps, kind: Service, name: A_b}]}'],
        ['TrafficPolicy', `{targetRefs: [${SERVICE}], retries: {attempts: 11, statuses: [200], methods: [get]}}`],
        ['TrafficPolicy', '{targetRefs: []}'],
        ['MeshPolicy', '{mtls: {mode: strict}, tracing: {samplingPercent: 101, propagators: [w3c]}}'],
        ['MeshPolicy', '{selector: {matchLabels: {-bad: "-x"}}, tracing: {endpoint: "http://user@10.0.0.1:4318"}}'],
        ['MeshPolicy', '{selector: {matchLabels: {}}}'],
        ['MeshPolicy', '{compat: {ports: [{port: 0}, {port: 9000, endPort: 8999}]}}'],
        ['MeshPolicy', '{compat: {ports: [8080]}}'],
      ] as const
    ).map(([kind, spec]) => [`${kind} ${spec}`, apply(kind, spec)]),
  )
  expect(answers).toMatchSnapshot()
})

test('an unknown field is refused by its name', () => {
  expect(apply('TrafficPolicy', `{targetRefs: [${SERVICE}], retrys: {}}`)).toContain('unknown field "spec.retrys"')
})

test('kubectl explain says of each field what it does and its default', () => {
  expect(ok(['explain', 'trafficpolicy.spec.retries.budget'])).toMatchSnapshot()
})

test('kubectl get shows targets and what control has written', () => {
  const text = `apiVersion: weft.dev/v1alpha1\nkind: TrafficPolicy\nmetadata: {name: shown, namespace: default}\nspec: {targetRefs: [${SERVICE}]}\n`
  ok(['apply', '-f', '-'], text)
  const condition = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: '',
    lastTransitionTime: '2026-01-31T12:00:00Z',
  }
  const ancestorRef = { group: '', kind: 'Service', name: 'catalog' }
  const status = {
    ancestors: [{ ancestorRef, controllerName: 'weft.dev/control', conditions: [condition] }],
    applied: '41 of 42',
    lagging: ['default/web-0'],
  }
  ok(['patch', 'trafficpolicy', 'shown', '--subresource=status', '--type=merge', '-p', JSON.stringify({ status })])
  const [head = '', row = ''] = ok(['get', 'weft', '-n', 'default']).split('\n')
  expect(head.split(/\s{2,}/)).toEqual(['NAME', 'TARGETS', 'ACCEPTED', 'APPLIED', 'AGE'])
  expect(row.split(/\s{2,}/).slice(0, 4)).toEqual(['trafficpolicy.weft.dev/shown', 'catalog', 'True', '41 of 42'])
})

/** "yes" or "no" for each question put as the service account of a process. */
function mayDo(process: string, questions: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    questions.map((question) => {
      const as = `system:serviceaccount:weft-system:weft-${process}`
      const { output } = kubectl.run(['auth', 'can-i', ...question.split(' '), '--as', as])
      return [question, output.replaceAll(/^Warning.*\n/gm, '').trim()]
    }),
  )
}
const everyone = (answer: string, questions: readonly string[]) =>
  Object.fromEntries(questions.map((question) => [question, answer]))

test.each([
  [
    'control',
    [
      'watch endpointslices.discovery.k8s.io -A',
      'list pods -A',
      'watch nodes',
      'watch trafficpolicies.weft.dev -A',
      'patch trafficpolicies.weft.dev/one --subresource=status -n shop',
      'update leases.coordination.k8s.io/weft-control-status -n weft-system',
      'update validatingwebhookconfigurations.admissionregistration.k8s.io/weft-control',
      'update secrets/weft-control-certificate -n weft-system',
      'get customresourcedefinitions.apiextensions.k8s.io/httproutes.gateway.networking.k8s.io',
    ],
    [
      'get secrets -n weft-system',
      'get secrets/weft-root -n weft-system',
      'get services/web -n shop',
      'list namespaces',
      'list serviceaccounts -A',
      'list grpcroutes.gateway.networking.k8s.io -A',
      'get customresourcedefinitions.apiextensions.k8s.io/trafficpolicies.weft.dev',
      'update validatingwebhookconfigurations.admissionregistration.k8s.io/another',
      'get configmaps -n shop',
      'patch trafficpolicies.weft.dev/one -n shop',
      'patch httproutes.gateway.networking.k8s.io/one -n shop',
      'create pods -n shop',
      'patch nodes/one',
      'delete services -n shop',
      'create tokenreviews.authentication.k8s.io',
      'create serviceaccounts/web --subresource=token -n shop',
      'update leases.coordination.k8s.io/weft-control-status -n kube-system',
    ],
  ],
  [
    'certs',
    [
      'create tokenreviews.authentication.k8s.io',
      'get pods/web-0 -n shop',
      'get secrets/weft-root -n weft-system',
      'patch configmaps/weft-trust-bundle -n shop',
    ],
    [
      'get secrets/another -n weft-system',
      'list secrets -n weft-system',
      'update secrets/weft-root -n weft-system',
      'get secrets/weft-root -n shop',
      'patch configmaps/another -n shop',
      'delete pods/web-0 -n shop',
      'create serviceaccounts/web --subresource=token -n shop',
    ],
  ],
  [
    'injector',
    [
      'update mutatingwebhookconfigurations.admissionregistration.k8s.io/weft-injector',
      'get namespaces/shop',
      'create events -n shop',
    ],
    [
      'update mutatingwebhookconfigurations.admissionregistration.k8s.io/another',
      'create mutatingwebhookconfigurations.admissionregistration.k8s.io',
      'list namespaces',
      'patch events/one -n shop',
      'create events.events.k8s.io -n shop',
      'get pods -n shop',
      'patch pods/web-0 -n shop',
      'get secrets/weft-root -n weft-system',
      'get secrets -n shop',
    ],
  ],
] as const)('%s may do what it needs and no more', (process, allowed, refused) => {
  expect(mayDo(process, allowed)).toEqual(everyone('yes', allowed))
  expect(mayDo(process, refused)).toEqual(everyone('no', refused))
})
