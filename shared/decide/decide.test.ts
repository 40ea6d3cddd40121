import { describe, expect, test } from 'vitest'
import type { DestinationConfig, RequestFacts, RouteMatch, RouteRule, WeightedBackend } from './config.ts'
import { compileDestination, decide } from './decide.ts'
import { canonicalPath } from './facts.ts'
import { USUAL_POLICY as POLICY } from './usual-policy.fixture.ts'

function rule(name: string, matches: readonly RouteMatch[], backends?: readonly WeightedBackend[]): RouteRule {
  return {
    route: { kind: 'HTTPRoute', namespace: 'shop', name: 'catalog' },
    rule: name,
    matches,
    backends: backends ?? [{ backend: `shop/${name}:80`, weight: 1 }],
    policy: POLICY,
  }
}

function destination(rules: readonly RouteRule[]): DestinationConfig {
  return {
    service: { namespace: 'shop', name: 'catalog', port: 80 },
    kind: 'service',
    protocol: 'http',
    rules,
    defaultBackend: 'shop/catalog:80',
    policy: POLICY,
    backends: [],
  }
}

interface Sent {
  readonly method?: string
  readonly authority?: string
  readonly target?: string
  readonly fields?: readonly string[]
  readonly random?: number
}

function facts(sent: Sent): RequestFacts {
  const { method = 'GET', authority = 'catalog', target = '/', fields = [], random = 0 } = sent
  return { method, authority, ...canonicalPath(target), fields, random }
}

/** Backend, or code of the refusal. */
function outcome(rules: readonly RouteRule[], sent: Sent): string {
  const decision = decide(compileDestination(destination(rules)), facts(sent))
  return decision.kind === 'forward' ? decision.backend : decision.code
}

/** Whether a request meets a match. */
const meets = (match: RouteMatch, sent: Sent) => outcome([rule('yes', [match])], sent) === 'shop/yes:80'

test('without any route a request goes to the service itself', () => {
  expect(outcome([], { target: '/anything//..' })).toBe('shop/catalog:80')
})

test('a request that meets no rule is refused while there are routes', () => {
  expect(outcome([rule('a', [{ path: { type: 'Exact', value: '/a' } }])], { target: '/b' })).toBe('NO_ROUTE')
})

test('a rule without matches takes everything', () => {
  expect(outcome([rule('all', [])], { target: '/x', method: 'POST' })).toBe('shop/all:80')
})

test('the first rule that holds decides, and of a rule any match is enough', () => {
  const rules = [
    rule('first', [{ method: 'PUT' }, { path: { type: 'PathPrefix', value: '/a' } }]),
    rule('second', [{ path: { type: 'PathPrefix', value: '/' } }]),
  ]
  expect(outcome(rules, { target: '/a/b' })).toBe('shop/first:80')
  expect(outcome(rules, { method: 'PUT' })).toBe('shop/first:80')
  expect(outcome(rules, { target: '/b' })).toBe('shop/second:80')
})

describe('paths', () => {
  test.each([
    ['Exact', '/a', '/a', true],
    ['Exact', '/a', '/a/', false],
    ['Exact', '/a', '/A', false],
    ['Exact', '/a', '/%61', true],
    ['Exact', '/a', '/a?x=1', true],
    ['Exact', '/caf%c3%a9', '/caf%C3%A9', true],
    ['PathPrefix', '/', '/x', true],
    ['PathPrefix', '/api', '/api', true],
    ['PathPrefix', '/api', '/api/', true],
    ['PathPrefix', '/api', '/api/x', true],
    ['PathPrefix', '/api', '/apis', false],
    ['PathPrefix', '/api/', '/api', true],
    ['PathPrefix', '/api/', '/api/x', true],
    ['PathPrefix', '/api', '/', false],
    ['RegularExpression', '/v[0-9]+/.*', '/v12/x', true],
    ['RegularExpression', '/v[0-9]+', '/v12/x', false],
    ['RegularExpression', '/(a+)+$', `/${'a'.repeat(3000)}!`, false],
  ] as const)('%s %s and a request for %s: %s', (type, value, target, expected) => {
    expect(meets({ path: { type, value } }, { target })).toBe(expected)
  })
})

describe('a path with two readings', () => {
  const spellings = ['/a//b', '/a/../b', '/a%2Fb', '/a%5Cb', '/a\\b', '/./a', '/a#b']
  test.each(spellings)('%s is refused where any rule looks at the path', (target) => {
    const rules = [rule('other', [{ method: 'POST' }]), rule('path', [{ path: { type: 'PathPrefix', value: '/a' } }])]
    expect(outcome(rules, { target, method: 'POST' })).toBe('AMBIGUOUS_PATH')
  })
  test.each(spellings)('%s passes where no rule looks at the path', (target) => {
    expect(outcome([rule('all', [{ path: { type: 'PathPrefix', value: '/' }, method: 'GET' }])], { target })).toBe(
      'shop/all:80',
    )
  })
})

describe('headers', () => {
  const exact = (name: string, value: string): RouteMatch => ({ headers: [{ type: 'Exact', name, value }] })
  test.each([
    ['names have no case', exact('X-User', 'ann'), ['x-uSer', 'ann'], true],
    ['values have case', exact('x-user', 'ann'), ['x-user', 'Ann'], false],
    ['one value of several is enough', exact('x-user', 'ann'), ['x-user', 'bob', 'x-user', 'ann'], true],
    ['values are never joined', exact('x-user', 'bob, ann'), ['x-user', 'bob', 'x-user', 'ann'], false],
    ['a value is not a name', exact('x-user', 'ann'), ['ann', 'x-user'], false],
    ['absent', exact('x-user', 'ann'), [], false],
    [
      'an expression holds for a whole value',
      { headers: [{ type: 'RegularExpression', name: 'x', value: 'a.c' }] },
      ['x', 'abc'],
      true,
    ],
    ['not for a part', { headers: [{ type: 'RegularExpression', name: 'x', value: 'a.c' }] }, ['x', 'abcd'], false],
    ['a name that looks like an expression is none', exact('x.y', 'a'), ['xzy', 'a'], false],
  ] as const)('%s', (_, match, fields, expected) => {
    expect(meets(match, { fields })).toBe(expected)
  })

  test('all of them must hold', () => {
    const both: RouteMatch = {
      headers: [
        { type: 'Exact', name: 'a', value: '1' },
        { type: 'Exact', name: 'b', value: '2' },
      ],
    }
    expect(meets(both, { fields: ['a', '1', 'b', '2'] })).toBe(true)
    expect(meets(both, { fields: ['a', '1', 'b', '3'] })).toBe(false)
  })

  test.each([
    ['catalog', 'catalog', true],
    ['catalog', 'Catalog:8080', true],
    ['catalog', 'catalog.:8080', true],
    ['Catalog.Shop', 'catalog.shop', true],
    ['catalog:8080', 'catalog:8080', true],
    ['catalog:8080', 'catalog:8081', false],
    ['catalog:8080', 'catalog', false],
    ['catalog', 'catalog.shop', false],
    ['[fd00::1]', '[FD00::1]:80', true],
  ])('Host %s and the authority %s: %s', (value, authority, expected) => {
    expect(meets(exact('Host', value), { authority })).toBe(expected)
  })

  test('an expression on Host sees the name with and without its port', () => {
    const match: RouteMatch = { headers: [{ type: 'RegularExpression', name: 'host', value: '[a-z]+(:8080)?' }] }
    expect(meets(match, { authority: 'Catalog' })).toBe(true)
    expect(meets(match, { authority: 'catalog:8080' })).toBe(true)
    expect(meets(match, { authority: 'catalog.shop' })).toBe(false)
  })
})

describe('query parameters', () => {
  test.each([
    ['v=1', true],
    ['a=2&v=1', true],
    ['v=1&v=2', true],
    ['v=2&v=1', false],
    ['%76=%31', true],
    ['V=1', false],
    ['v', false],
    ['', false],
    ['v=%ff', false],
    ['&&v=1', true],
  ])('v=1 and ?%s: %s', (query, expected) => {
    expect(meets({ queryParams: [{ type: 'Exact', name: 'v', value: '1' }] }, { target: `/?${query}` })).toBe(expected)
  })

  test('a value is decoded: "+" and %20 are spaces', () => {
    const match: RouteMatch = { queryParams: [{ type: 'Exact', name: 'q', value: 'a b' }] }
    expect(meets(match, { target: '/?q=a+b' })).toBe(true)
    expect(meets(match, { target: '/?q=a%20b' })).toBe(true)
  })
})

describe('weights', () => {
  const split = (...weights: readonly (readonly [string | null, number])[]) => [
    rule(
      'split',
      [],
      weights.map(([backend, weight]) => ({ backend, weight })),
    ),
  ]
  test.each([
    [0, 'v1'],
    [0.9499, 'v1'],
    [0.95, 'v2'],
    [0.999999, 'v2'],
  ])('95 to 5 at %d: %s', (random, expected) => {
    expect(outcome(split(['v1', 95], ['v2', 5]), { random })).toBe(expected)
  })

  test('weight 0 never gets a request', () => {
    expect(outcome(split(['v1', 0], ['v2', 1]), { random: 0 })).toBe('v2')
    expect(outcome(split(['v1', 1], ['v2', 0]), { random: 0.999999 })).toBe('v1')
  })

  test('a broken backend keeps its share, which fails', () => {
    expect(outcome(split(['v1', 1], [null, 1]), { random: 0.4 })).toBe('v1')
    expect(outcome(split(['v1', 1], [null, 1]), { random: 0.6 })).toBe('NO_BACKEND')
  })

  test('no backend, or none with a weight, is a refusal that names the rule', () => {
    expect(outcome(split(), {})).toBe('NO_BACKEND')
    expect(decide(compileDestination(destination(split(['v1', 0]))), facts({}))).toMatchObject({
      code: 'NO_BACKEND',
      rule: { rule: 'split' },
    })
  })
})

test('the same outcome is the same object, so that callers can keep what they made for it', () => {
  const compiled = compileDestination(destination([rule('a', [{ method: 'GET' }])]))
  expect(decide(compiled, facts({}))).toBe(decide(compiled, facts({ target: '/other' })))
  expect(decide(compiled, facts({ method: 'PUT' }))).toBe(decide(compiled, facts({ method: 'POST' })))
})

test('an expression that RE2 does not know is an error that says so', () => {
  expect(() =>
    compileDestination(destination([rule('a', [{ path: { type: 'RegularExpression', value: '(?=x)' } }])])),
  ).toThrow('RE2 syntax')
})
