import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import type { KubeObject } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { cpuMsOf } from '../../test/support/cpu-time.ts'
import { compile, describeFaults, type Model } from '../model/compile.ts'
import { refusedStatuses } from '../model/refused.ts'
import { CATALOG, load, world } from '../model/shop.fixture.ts'
import { readRoute } from '../watch/kubernetes-documents.ts'
import { type AdmitOptions, admit } from './admit.ts'

const POLICY = `
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: { name: older, namespace: shop, creationTimestamp: "2026-01-01T00:00:00Z" }
spec: { targetRefs: [{ group: "", kind: Service, name: catalog }], timeouts: { request: 3s } }
`
const MODEL = compile(load(CATALOG, POLICY), world())

const options = (model: Model | undefined = MODEL): AdmitOptions => ({
  model: new Watched<Model | undefined>(model),
  ownNamespace: 'weft-system',
  clock: new ManualClock(Date.parse('2026-11-27T12:00:00Z')),
  log: silentLog,
})

const RESOURCES = {
  HTTPRoute: 'gateway.networking.k8s.io/v1/httproutes',
  TrafficPolicy: 'weft.dev/v1alpha1/trafficpolicies',
  MeshPolicy: 'weft.dev/v1alpha1/meshpolicies',
} as const

interface Asked {
  readonly model?: Model
  readonly name?: string
  readonly namespace?: string
  readonly metadata?: object
  readonly operation?: string
  readonly oldObject?: unknown
}

function ask(kind: keyof typeof RESOURCES, spec: object, asked: Asked = {}) {
  const { name = 'one', namespace = 'shop', metadata = {}, operation = 'CREATE', oldObject = null } = asked
  const object: KubeObject = { metadata: { name, namespace, ...metadata }, spec }
  const resource = RESOURCES[kind]
  return admit({ uid: 'u', operation, resource, namespace, isDryRun: false, object, oldObject }, options(asked.model))
}

const CATALOG_PARENT = { group: '', kind: 'Service', name: 'catalog', port: 80 }
const GATEWAY = { group: 'gateway.networking.k8s.io', kind: 'Gateway', name: 'edge' }
const onCatalog = (rule: object) => ({ parentRefs: [CATALOG_PARENT], rules: [rule] })
const target = (name: string) => ({ group: '', kind: 'Service', name })

test('what is right and refers to what is there is accepted without a word', () => {
  const rule = { backendRefs: [{ name: 'catalog', port: 80 }], matches: [{ path: { value: '/a' } }] }
  expect(ask('HTTPRoute', onCatalog(rule))).toEqual({ outcome: 'accepted', verdict: { warnings: [] } })
  expect(ask('MeshPolicy', { mtls: { mode: 'Strict' } })).toMatchObject({ outcome: 'accepted' })
})

test.each([
  [
    'a regular expression that RE2 does not take',
    'HTTPRoute',
    onCatalog({ matches: [{ path: { type: 'RegularExpression', value: '/(a)\\1' } }] }),
    /^HTTPRoute shop\/one: spec\.rules\[0\]\.matches\[0\]\.path\.value: found "\/\(a\)\\\\1"; want a regular expression in RE2 syntax/,
  ],
  [
    'one that is too long',
    'HTTPRoute',
    onCatalog({ matches: [{ headers: [{ name: 'x', type: 'RegularExpression', value: 'a'.repeat(1025) }] }] }),
    /headers\[0\]\.value: found .*\(1025 characters\); want a regular expression of at most 1024 characters$/,
  ],
  [
    'more regular expressions than a route may have',
    'HTTPRoute',
    onCatalog({
      matches: Array.from({ length: 9 }, () => ({
        headers: [{ name: 'x', type: 'RegularExpression', value: 'a'.repeat(1000) }],
      })),
    }),
    /spec\.rules: found 9000 characters; want at most 8192 characters in all regular expressions together$/,
  ],
  [
    'a timeout of a try beyond that of the request, beside a field that is not supported yet,',
    'HTTPRoute',
    onCatalog({ retry: {}, timeouts: { request: '1s', backendRequest: '2s' } }),
    /^HTTPRoute shop\/one: spec\.rules\[0\]\.timeouts\.backendRequest: found "2s"; want at most timeouts\.request \(1s\)$/,
  ],
  [
    'a timeout of a try beyond that of all tries',
    'TrafficPolicy',
    { targetRefs: [target('catalog')], timeouts: { request: '1s' }, retries: { perTryTimeout: '2s' } },
    /spec\.retries\.perTryTimeout: found "2s"; want at most timeouts\.request, which all tries share$/,
  ],
  [
    'a target twice',
    'TrafficPolicy',
    { targetRefs: [target('catalog'), target('catalog')] },
    /spec\.targetRefs\[1\]: found Service catalog a second time; want each target once$/,
  ],
] as const)('%s is denied with the field, what was found and what would be right', (_what, kind, spec, message) => {
  const { outcome, verdict } = ask(kind, spec)
  expect(outcome).toBe('denied')
  expect(verdict.denial).toEqual({ code: 422, message: expect.stringMatching(message) })
})

test.each([
  [
    'a Service that is not there',
    { parentRefs: [{ group: '', kind: 'Service', name: 'cart' }] },
    ['HTTPRoute shop/one on Service shop/cart: NoMatchingParent: there is no Service shop/cart'],
  ],
  [
    'a port that is not there',
    { parentRefs: [{ ...CATALOG_PARENT, port: 81 }] },
    [
      'HTTPRoute shop/one on Service shop/catalog: NoMatchingParent: Service shop/catalog has no port 81; it has 80 (http)',
    ],
  ],
  [
    'every backend that is not there, and one of another namespace without a grant',
    onCatalog({
      backendRefs: [
        { name: 'a', port: 80 },
        { name: 'catalog', port: 9 },
        { name: 'redis', namespace: 'data', port: 6379 },
      ],
    }),
    [
      'HTTPRoute shop/one on Service shop/catalog: BackendNotFound: spec.rules[0].backendRefs[0]: there is no Service shop/a; ' +
        'spec.rules[0].backendRefs[1]: Service shop/catalog has no port 9; it has 80; ' +
        'spec.rules[0].backendRefs[2]: Service data/redis is in another namespace, and files hold no ReferenceGrant: use a Service of shop',
    ],
  ],
])('a route that refers to %s is accepted with a warning, as it may come later', (_what, spec, warnings) => {
  expect(ask('HTTPRoute', spec)).toEqual({ outcome: 'warned', verdict: { warnings } })
})

test.each([
  [
    'a filter',
    { filters: [{ type: 'URLRewrite' }, { type: 'CORS' }, { type: 'URLRewrite' }] },
    'filters: found a field that is not supported yet (URLRewrite, CORS); want it left out',
  ],
  [
    'a filter of a backend',
    { backendRefs: [{ name: 'catalog', port: 80, filters: [{ type: 'RequestMirror' }] }] },
    'backendRefs[0].filters: found a field that is not supported yet (RequestMirror); want it left out',
  ],
  ['retries', { retry: { attempts: 3 } }, 'retry: found a field that is not supported yet; want it left out'],
  [
    'a field of a later version',
    { timeouts: { idle: '1s' } },
    'timeouts.idle: found an unknown field; want one of request, backendRequest',
  ],
  [
    'a value of a later version',
    { matches: [{ path: { type: 'Glob', value: '/*' } }] },
    'matches[0].path.type: found "Glob"; want one of Exact, PathPrefix, RegularExpression',
  ],
])(
  'a route with %s is for a later version or somebody else: stored, with the words of its condition',
  (_what, rule, said) => {
    const { outcome, verdict } = ask('HTTPRoute', onCatalog(rule))

    expect(outcome).toBe('warned')
    expect(verdict).toEqual({
      warnings: [`HTTPRoute shop/one on Service shop/catalog: UnsupportedValue: not in force: spec.rules[0].${said}`],
    })
    const document = readRoute({ metadata: { name: 'one', namespace: 'shop' }, spec: onCatalog(rule) })
    expect(describeFaults(refusedStatuses(document === undefined ? [] : [document]))).toEqual(verdict.warnings)
  },
)

test('a backend of another kind is stored, with both conditions of the Gateway API', () => {
  const backend = { group: 'multicluster.x-k8s.io', kind: 'ServiceImport', name: 'a'.repeat(100) }

  const { warnings = [], denial } = ask('HTTPRoute', onCatalog({ backendRefs: [backend] })).verdict

  expect(denial).toBeUndefined()
  expect(warnings).toEqual([
    expect.stringContaining('UnsupportedValue: not in force: spec.rules[0].backendRefs[0].group: found "multicluster'),
    expect.stringContaining('InvalidKind: spec.rules[0].backendRefs[0].group: found "multicluster'),
  ])
})

test('a policy of a later version is stored where its CRD is there before the new control', () => {
  const spec = { targetRefs: [target('catalog')], loadBalancing: { algorithm: 'Maglev' }, mirrors: [] }
  expect(ask('TrafficPolicy', spec)).toMatchObject({ outcome: 'warned' })
})

const paths = (text: string, count: number) =>
  onCatalog({ matches: Array.from({ length: count }, () => ({ path: { type: 'RegularExpression', value: text } })) })
const ofMany = (key: string, count: number) =>
  Object.fromEntries(Array.from({ length: count }, (_, at) => [key + at, 1]))

// What a tenant may store, and what anybody who reaches the port may send: the thread is that of all sidecars.
test.each([
  [
    'counted repeats',
    'HTTPRoute',
    paths('(?:a?b?){399}', 64),
    /found about 102144 steps; want at most 8192 steps in all/,
  ],
  [
    'large classes',
    'HTTPRoute',
    paths(`(?i)${'\\pL'.repeat(100)}`, 9),
    /found about 36\d\d\d steps; want at most 8192/,
  ],
  [
    'unknown fields',
    'HTTPRoute',
    { ...onCatalog({}), ...ofMany('rulez', 20_000) },
    /found 20002 items in a map; want at/,
  ],
  [
    'labels',
    'MeshPolicy',
    { selector: { matchLabels: ofMany('a', 20_000) } },
    /found 20000 items in a map; want at most 2000/,
  ],
  [
    'maps',
    'HTTPRoute',
    onCatalog({ matches: Array.from({ length: 60 }, () => ({ headers: Array(16).fill(ofMany('namez', 60)) })) }),
    /found more than 50000 values; want fewer; part the object into several/,
  ],
] as const)('an object of very many %s is refused before it costs much', (_what, kind, spec, message) => {
  const cost = cpuMsOf(() => expect(ask(kind, spec).verdict.denial?.message).toMatch(message))
  expect(cost).toBeLessThan(300)
})

test('a headless Service as parent is told to meet no routes', () => {
  const headless = world()
  const services = headless.services.map((service) => ({ ...service, addresses: [] }))
  const { verdict } = ask('HTTPRoute', onCatalog({}), { model: compile(load(CATALOG), { ...headless, services }) })
  expect(verdict.warnings).toEqual([expect.stringContaining('Service shop/catalog is headless')])
})

test('a policy that says what an older one says is told which, and an older one to whom it does that', () => {
  const spec = { targetRefs: [target('catalog')], timeouts: { request: '1s' } }
  const quarrel = (loser: string, winner: string) =>
    `TrafficPolicy shop/${loser} on Service shop/catalog: Conflicted: spec.timeouts.request is set by TrafficPolicy shop/${winner}, which is older or first by name; other fields are in force`

  expect(ask('TrafficPolicy', spec).verdict.warnings).toEqual([quarrel('one', 'older')])
  const metadata = { creationTimestamp: '2025-01-01T00:00:00Z' }
  expect(ask('TrafficPolicy', spec, { metadata }).verdict.warnings).toEqual([quarrel('older', 'one')])
})

test('it warns in the words of the condition that the object then gets', () => {
  const spec = { targetRefs: [target('nothing'), target('catalog')], timeouts: { request: '1s' } }
  const stored = POLICY.replace('older', 'one')
    .replace('2026-01', '2026-11')
    .replace(/spec: .*/, `spec: ${JSON.stringify(spec)}`)

  const { verdict } = ask('TrafficPolicy', spec)

  expect(verdict.warnings).toHaveLength(2)
  expect(verdict.warnings).toEqual(describeFaults(compile(load(CATALOG, POLICY, stored), world()).statuses))
})

test('before the cluster is known only the text is judged', () => {
  const request = { uid: 'u', operation: 'CREATE', namespace: 'shop', isDryRun: false, oldObject: null }
  const judge = (kind: keyof typeof RESOURCES, spec: object) =>
    admit(
      { ...request, resource: RESOURCES[kind], object: { metadata: { name: 'one', namespace: 'shop' }, spec } },
      { ...options(), model: new Watched<Model | undefined>(undefined) },
    ).outcome
  expect(judge('TrafficPolicy', { targetRefs: [target('nothing')] })).toBe('accepted')
  expect(judge('TrafficPolicy', { targetRefs: [] })).toBe('denied')
})

test('a route that a Gateway serves too is never denied, whatever it says', () => {
  const rule = { sessionPersistence: { sessionName: 'a' } }
  expect(ask('HTTPRoute', { parentRefs: [GATEWAY], rules: [rule] })).toMatchObject({ outcome: 'accepted' })
  const both = ask('HTTPRoute', { parentRefs: [GATEWAY, CATALOG_PARENT], rules: [rule] })
  expect(both.verdict).toEqual({
    warnings: [
      'HTTPRoute shop/one on Service shop/catalog: UnsupportedValue: not in force: spec.rules[0].sessionPersistence: found a field that is not supported yet; want it left out',
    ],
  })
})

const BAD = { targetRefs: [] }
test.each([
  ['of kube-system', { namespace: 'kube-system' }],
  ['of Weft itself', { namespace: 'weft-system' }],
  ['that is deleted', { operation: 'DELETE' }],
  ['whose spec stays as it is', { operation: 'UPDATE', oldObject: { metadata: {}, spec: BAD } }],
  ['that only waits for its finalizers', { operation: 'UPDATE', metadata: { deletionTimestamp: '2026-01-01' } }],
])('an object %s is let through whatever it says', (_what, asked) => {
  expect(ask('TrafficPolicy', BAD)).toMatchObject({ outcome: 'denied' })
  expect(ask('TrafficPolicy', BAD, asked)).toEqual({ outcome: 'skipped', verdict: {} })
})

test.each([
  ['no object', null],
  ['no metadata', { spec: {} }],
  ['parents that are no list', { metadata: { name: 'a' }, spec: { parentRefs: { group: '' } } }],
])('what no API server sends (%s) is admitted with a warning, and nothing breaks', (_what, object) => {
  const request = { uid: 'u', operation: 'CREATE', namespace: 'shop', isDryRun: false, oldObject: null }
  const resource = RESOURCES.HTTPRoute
  const { outcome, verdict } = admit({ ...request, resource, object }, options())
  expect(outcome).toBe('failed')
  expect(verdict).toEqual({ warnings: [expect.stringContaining('not checked')] })
})
