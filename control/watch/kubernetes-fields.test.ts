// The fields of a Service and its slices that kube-proxy would honour, which sidecars pass by.
import { expect, test } from 'vitest'
import { modelOf, route, service } from './kubernetes.fixture.ts'

test('sessionAffinity is told with its timeout: the one it says, else three hours, and for each backend its own', () => {
  const at = (address: string) => ({ clusterIP: address, clusterIPs: [address] })
  const minute = { sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } } }
  const model = modelOf({
    services: [
      service({ sessionAffinity: 'ClientIP', ...minute }),
      service({ ...at('10.96.0.8'), sessionAffinity: 'ClientIP' }, 'cart'),
      service({ ...at('10.96.0.9'), ...minute }, 'web'),
    ],
    routes: [route({ rules: [{ backendRefs: ['catalog', 'cart', 'web'].map((name) => ({ name, port: 80 })) }] })],
  })
  const { backends = [] } = model.destination('10.96.0.7:80', 'front') ?? {}
  expect(backends.map(({ key, policy }) => [key, policy.sessionAffinityMs])).toEqual([
    ['shop/catalog:80', 60_000],
    ['shop/cart:80', 10_800_000],
    ['shop/web:80', undefined],
  ])
})
