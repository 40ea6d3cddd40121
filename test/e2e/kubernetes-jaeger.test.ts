// The preset `demo` on a real Kubernetes of one node: a request through the shop is one trace in the Jaeger of the cluster.
import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { expectWhole, jaegerAt, parentOf, type Span, spansOf, type Trace, tagsOf } from '../support/jaeger.ts'
import { WEFT } from './kubernetes/installation.ts'
import { loadJaeger } from './kubernetes/jaeger.ts'
import { podsOf } from './kubernetes/kubectl.ts'
import { createWorld, type World } from './kubernetes/world.ts'

/** The front page asks three services at once. */
const CALLS = [
  ['shopper', 'web'],
  ['web', 'catalog'],
  ['web', 'cart'],
  ['web', 'reviews'],
] as const

let world: World

beforeAll(async () => {
  const image = await loadJaeger()
  // The shop comes with the world, in a namespace of its own.
  const values = ['--set', `demo.jaeger.image=${image}`, '--set', 'demo.shop.enabled=false']
  world = await createWorld('-f', 'charts/weft/values-demo.yaml', ...values)
})
afterAll(() => world?.[Symbol.asyncDispose]())

test('a request through five services is one trace in the Jaeger of the cluster, each span under the one that caused it', async () => {
  const [traceId, origin] = [randomBytes(16).toString('hex'), randomBytes(8).toString('hex')]
  const [pod] = await podsOf(WEFT, 'app.kubernetes.io/component=jaeger')
  const jaeger = jaegerAt(pod?.status.podIP ?? '')

  const home = await world.shopper.request('http://web:8080/?token=secret', {
    headers: { traceparent: `00-${traceId}-${origin}-01` },
  })
  expect(home.status).toBe(200)
  const trace = await jaeger.traceOf(traceId, 'web', 2 * CALLS.length)

  expect(trace.spans).toHaveLength(2 * CALLS.length)
  expectWhole(trace, origin)
  for (const [caller, called] of CALLS) {
    const above = caller === 'shopper' ? origin : servedBy(trace, caller)?.spanID
    const asked = askedBy(trace, caller, called)
    expect(parentOf(asked), `client span of ${caller}`).toBe(above)
    expect(parentOf(servedBy(trace, called)), `server span of ${called}`).toBe(asked?.spanID)
    expect(tagsOf(asked)).toMatchObject({
      'http.response.status_code': 200,
      'weft.destination.identity': `spiffe://weft.local/ns/${world.inside}/sa/${called}`,
    })
    expect(tagsOf(servedBy(trace, called))).toMatchObject({
      'weft.source.identity': `spiffe://weft.local/ns/${world.inside}/sa/${caller}`,
    })
  }
  expect(JSON.stringify(trace)).not.toContain('secret')
})

const askedBy = (trace: Trace, caller: string, called: string): Span | undefined =>
  spansOf(trace, caller, 'client').find((span) => tagsOf(span)['server.address'] === called)

/** The catalog's workloads are named by their version. */
function servedBy(trace: Trace, called: string): Span | undefined {
  const names = new Set(Object.values(trace.processes).map(({ serviceName }) => serviceName))
  const [name = ''] = [...names].filter((one) => one.replace(/-v\d$/, '') === called)
  return spansOf(trace, name, 'server')[0]
}
