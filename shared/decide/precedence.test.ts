import { expect, test } from 'vitest'
import type { RequestPolicy, RouteMatch, RouteRule } from './config.ts'
import { orderRules, type RankedRoute } from './precedence.ts'

const POLICY = {} as RequestPolicy

function route(name: string, createdAt: number | null, ...rules: readonly (readonly RouteMatch[])[]): RankedRoute {
  const ref = { kind: 'HTTPRoute', namespace: 'shop', name }
  const made = rules.map(
    (matches, index): RouteRule => ({ route: ref, rule: `${name}${index}`, matches, backends: [], policy: POLICY }),
  )
  return { route: ref, createdAt, rules: made }
}

const order = (...routes: readonly RankedRoute[]) => orderRules(routes).map(({ rule }) => rule)

const exact = (value: string): RouteMatch => ({ path: { type: 'Exact', value } })
const prefix = (value: string): RouteMatch => ({ path: { type: 'PathPrefix', value } })
const header = (name: string) => ({ type: 'Exact', name, value: '1' }) as const

// Each pair: the first must come before the second, whatever the order and the age of their routes.
test.each<readonly [string, RouteMatch, RouteMatch]>([
  ['an exact path before a longer prefix', exact('/a'), prefix('/a/b/c')],
  ['an expression before a prefix', { path: { type: 'RegularExpression', value: '/.*' } }, prefix('/aaaa')],
  ['a longer prefix', prefix('/a/b'), prefix('/a')],
  ['a longer prefix before a method', prefix('/a/b'), { ...prefix('/a'), method: 'GET' }],
  [
    'a method before headers',
    { ...prefix('/a'), method: 'GET' },
    { ...prefix('/a'), headers: [header('x'), header('y')] },
  ],
  ['more headers', { headers: [header('x'), header('y')] }, { headers: [header('x')] }],
  ['headers before query parameters', { headers: [header('x')] }, { queryParams: [header('x'), header('y')] }],
  ['more query parameters', { queryParams: [header('x'), header('y')] }, { queryParams: [header('x')] }],
  ['any match before none', { method: 'GET' }, {}],
])('%s', (_, first, second) => {
  expect(order(route('b', 2, [first]), route('a', 1, [second]))).toEqual(['b0', 'a0'])
  expect(order(route('a', 1, [second]), route('b', 2, [first]))).toEqual(['b0', 'a0'])
  expect(order(route('a', 1, [second], [first]))).toEqual(['a1', 'a0'])
})

test('among equals the older route comes first, then the name, then the place in the route', () => {
  expect(order(route('a', 2, [{}]), route('b', 1, [{}]))).toEqual(['b0', 'a0'])
  expect(order(route('b', 1, [{}]), route('a', 1, [{}]))).toEqual(['a0', 'b0'])
  expect(order(route('b', null, [{}]), route('a', null, [{}]))).toEqual(['a0', 'b0'])
  expect(order(route('a', 1, [{}], [{}]))).toEqual(['a0', 'a1'])
})

test('a rule with several matches is parted, so that each match has its own place', () => {
  const flat = orderRules([route('a', 1, [exact('/a'), prefix('/')], [prefix('/b')])])
  expect(flat.map(({ rule, matches }) => [rule, matches])).toEqual([
    ['a0', [exact('/a')]],
    ['a1', [prefix('/b')]],
    ['a0', [prefix('/')]],
  ])
})

test('a rule without matches ranks as prefix "/" and stays without matches', () => {
  expect(
    orderRules([route('a', 1, []), route('b', 1, [prefix('/')])]).map(({ rule, matches }) => [rule, matches.length]),
  ).toEqual([
    ['a0', 0],
    ['b0', 1],
  ])
})
