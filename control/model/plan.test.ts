import { expect, test } from 'vitest'
import { compile, type Model } from './compile.ts'
import { plan } from './plan.ts'
import { CATALOG, CATALOG_V2, load, meshPolicy, policy, REDIS, route, shop, world } from './shop.fixture.ts'

const canary = route('canary', '[{ backendRefs: [{ name: catalog-v2, port: 80 }] }]')
const lines = (before: Model, after: Model) =>
  plan(before, after).map(({ change, object, affects }) => [change, object, ...affects])

test('nothing changes when the documents say the same', () => {
  expect(lines(shop([canary]), shop([canary]))).toEqual([])
})

test('a route is for the callers of its service', () => {
  expect(lines(shop(), shop([canary]))).toEqual([['added', 'HTTPRoute shop/canary', 'calls to shop/catalog:80']])
  expect(lines(shop([canary]), shop())).toEqual([['removed', 'HTTPRoute shop/canary', 'calls to shop/catalog:80']])
})

test('a consumer route is for the callers of its namespace', () => {
  const consumer = route('mine', '[{ backendRefs: [{ name: catalog, namespace: shop, port: 80 }] }]', {
    namespace: 'front',
  })
  expect(lines(shop(), shop([consumer]))).toEqual([
    ['added', 'HTTPRoute front/mine', 'calls to shop/catalog:80 from front'],
  ])
})

test('each change is judged on its own', () => {
  const strict = meshPolicy('m', 'shop', 'mtls: { mode: Permissive }')
  const limits = policy('limits', 'timeouts: { request: 1s }')
  expect(lines(shop([limits]), shop([policy('limits', 'timeouts: { request: 2s }'), strict]))).toEqual([
    ['added', 'MeshPolicy shop/m', 'sidecars of shop/catalog', 'sidecars of shop/catalog-v2'],
    ['changed', 'TrafficPolicy shop/limits', 'calls to shop/catalog:80'],
  ])
})

test('what changes nobody\u2019s sidecar says so by saying nobody', () => {
  expect(lines(shop(), shop([policy('p', 'timeouts: {}')]))).toEqual([['added', 'TrafficPolicy shop/p']])
})

test('a selector that picks other pods is for the callers of the service and for the pods', () => {
  const after = compile(load(CATALOG.replace('app: catalog', 'app: catalog, version: v2'), CATALOG_V2, REDIS), world())
  expect(lines(shop(), after)).toEqual([
    ['changed', 'Service shop/catalog', 'calls to shop/catalog:80', 'sidecars of shop/catalog'],
  ])
})
