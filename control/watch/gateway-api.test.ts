import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { KubeError } from '#shared/kube/error.ts'
import type { KubeObject } from '#shared/kube/objects.ts'
import { watchGatewayApi } from './gateway-api.ts'

const crd = (version?: string, channel = 'standard'): KubeObject => ({
  metadata: {
    name: 'httproutes.gateway.networking.k8s.io',
    annotations: {
      'gateway.networking.k8s.io/channel': channel,
      ...(version !== undefined && { 'gateway.networking.k8s.io/bundle-version': version }),
    },
  },
})

/** An API server that gives one answer after the other, the last again and again. */
async function start(...answers: readonly (KubeObject | Error)[]) {
  const clock = new ManualClock()
  const told: string[] = []
  let asked = 0
  const client = {
    async get() {
      const answer = answers[Math.min(asked++, answers.length - 1)]
      if (answer === undefined || answer instanceof Error) throw answer
      return answer
    },
  }
  const log = { info: (text: string) => told.push(text), warn: (text: string) => told.push(`WARN ${text}`) }
  const watch = watchGatewayApi({ client, clock, log: log as never })
  await settled()
  return {
    watch,
    told,
    asked: () => asked,
    async pass(ms: number) {
      clock.advance(ms)
      await settled()
    },
  }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

const OLD = 'Weft is made for v1.6: fields of routes that they lack are dropped by the API server, in silence'

test.each([
  ['v1.6.3', 'the CRDs of the Gateway API are v1.6.3 (standard)'],
  ['v1.10.0', 'the CRDs of the Gateway API are v1.10.0 (standard)'],
  ['v2.0.0', 'the CRDs of the Gateway API are v2.0.0 (standard)'],
  ['v1.5.9', `WARN the CRDs of the Gateway API are v1.5.9 (standard); ${OLD}`],
  ['v0.8.1', `WARN the CRDs of the Gateway API are v0.8.1 (standard); ${OLD}`],
  ['main', `WARN the CRDs of the Gateway API are main (standard); ${OLD}`],
  [undefined, `WARN the CRDs of the Gateway API are of a version that they do not say; ${OLD}`],
])('of CRDs of version %s the log says: %s', async (version, line) => {
  const { told, watch } = await start(crd(version))
  expect(told).toEqual([line])
  expect(watch.found.current).toEqual({
    version: version ?? '',
    channel: 'standard',
    isRecent: !line.startsWith('WARN'),
  })
})

test('a new version is noticed within ten minutes, and the same is told once', async () => {
  const { told, pass, watch } = await start(crd('v1.5.0'), crd('v1.5.0'), crd('v1.6.0', 'experimental'))
  await pass(10 * 60_000)
  expect(told).toHaveLength(1)
  await pass(10 * 60_000)
  expect(told.at(-1)).toBe('the CRDs of the Gateway API are v1.6.0 (experimental)')
  expect(watch.found.current?.channel).toBe('experimental')
})

test('what cannot be read is told with the reason and asked for again; what is not installed in silence', async () => {
  const missing = new KubeError('get', { status: 404, reason: 'NotFound', message: 'not found' })
  const refused = new KubeError('get', { status: 403, reason: 'Forbidden', message: 'no' })
  const { told, pass, watch } = await start(missing, refused, refused, crd('v1.6.0'))
  expect(told).toEqual([])
  await pass(30_000)
  await pass(30_000)
  expect(told).toEqual([expect.stringMatching(/^WARN the version of the Gateway API is not known: .*403/)])
  await pass(30_000)
  expect(watch.found.current?.version).toBe('v1.6.0')
})

test('after its end it asks no more', async () => {
  const { watch, pass, asked } = await start(crd('v1.6.0'))
  watch.close()
  await pass(60 * 60_000)
  expect(asked()).toBe(1)
})
