import { expect, test } from 'vitest'
import { checkResource, type Loaded } from '#shared/resources/load.ts'
import { compile, describeFaults } from './compile.ts'
import { CATALOG, load, world } from './shop.fixture.ts'

const matches = Array.from({ length: 8 }, (_, index) => ({
  path: { type: 'Exact', value: `/a${index}` },
  headers: [{ name: 'x', value: 'y'.repeat(4000) }],
}))

/** 0.5 MB. */
function large(name: string, day: number, namespace = 'shop'): Loaded {
  const value = {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace, creationTimestamp: `2026-01-${day}T00:00:00Z` },
    spec: {
      parentRefs: [{ group: '', kind: 'Service', namespace: 'shop', name: 'catalog' }],
      rules: Array.from({ length: 16 }, () => ({ matches })),
    },
  }
  return checkResource('kubernetes', value) as Loaded
}

test('one Service has routes up to a size, the older first, and the others are told', () => {
  const many = Array.from({ length: 12 }, (_, index) => large(`r${index + 10}`, 31 - index))

  const model = compile([...load(CATALOG), ...many, large('consumer', 31, 'front')], world())

  const faults = describeFaults(model.statuses)
  expect(faults).toHaveLength(4)
  for (const [index, fault] of faults.entries())
    expect(fault).toMatch(new RegExp(`^HTTPRoute shop/r1${index} on Service shop/catalog: TooManyRoutes: not in force`))
  const [address = ''] = world().services.find(({ name }) => name === 'catalog')?.addresses ?? []
  const routesFor = (caller: string) =>
    new Set(model.destination(`${address}:80`, caller)?.rules.map(({ route }) => route.name)).size
  expect([routesFor('shop'), routesFor('front')]).toEqual([8, 1])
})
