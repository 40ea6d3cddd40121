import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import type { KubeKind, KubeObject } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import type { Refusal } from './admit.ts'
import { createEventReporter } from './events.ts'

const refusal: Refusal = {
  namespace: 'shop',
  pod: 'catalog-6d5f9c7b8-...',
  owner: { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'catalog-6d5f9c7b8', uid: 'u', controller: true },
  reason: 'it uses the network of its node (hostNetwork)',
}

function start(answer: () => Promise<KubeObject> = async () => ({ metadata: {} })) {
  const events: KubeObject[] = []
  const clock = new ManualClock(Date.parse('2026-11-20T14:00:00.500Z'))
  const client = {
    create(_kind: KubeKind, object: KubeObject) {
      events.push(object)
      return answer()
    },
  }
  return { events, clock, reporter: createEventReporter({ client, clock, log: silentLog }) }
}

test('the owner is told why its pod runs without a sidecar', () => {
  const { events, reporter } = start()

  reporter.refused(refusal)

  expect(events).toEqual([
    {
      metadata: { namespace: 'shop', name: expect.stringMatching(/^catalog-6d5f9c7b8\.weft-[0-9a-f]{16}$/) },
      involvedObject: {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        name: 'catalog-6d5f9c7b8',
        uid: 'u',
        namespace: 'shop',
      },
      type: 'Warning',
      reason: 'NoSidecar',
      message:
        'pod catalog-6d5f9c7b8-... was admitted without a sidecar of Weft: it uses the network of its node (hostNetwork)',
      source: { component: 'weft-injector' },
      firstTimestamp: '2026-11-20T14:00:00Z',
      lastTimestamp: '2026-11-20T14:00:00Z',
      count: 1,
    },
  ])
})

test('the same is told once in ten minutes, something else at once', () => {
  const { events, clock, reporter } = start()

  for (let count = 0; count < 100; count++) reporter.refused(refusal)
  reporter.refused({ ...refusal, reason: 'another' })
  expect(events).toHaveLength(2)
  clock.advance(10 * 60 * 1000)
  reporter.refused(refusal)
  expect(events).toHaveLength(3)
})

test('a pod of nobody is told by its name, and one without a name not at all', () => {
  const { events, reporter } = start()

  reporter.refused({ ...refusal, owner: undefined })
  reporter.refused({ ...refusal, owner: undefined, pod: 'one' })
  expect(events.map(({ involvedObject }) => involvedObject)).toEqual([
    { apiVersion: 'v1', kind: 'Pod', name: 'one', namespace: 'shop' },
  ])
})

test('an API server that does not answer is not asked more and more', () => {
  const { events, reporter } = start(() => new Promise(() => {}))

  for (let count = 0; count < 50; count++) reporter.refused({ ...refusal, reason: `reason ${count}` })
  expect(events).toHaveLength(10)
})

test('an Event that is refused harms nothing', async () => {
  const { events, reporter } = start(() => Promise.reject(new Error('Forbidden')))

  for (let round = 0; round < 20; round++) {
    reporter.refused({ ...refusal, reason: `reason ${round}` })
    await new Promise((resolve) => setImmediate(resolve))
  }
  expect(events).toHaveLength(20)
})

test('a storm of refusals, each about something else, becomes no storm of Events', async () => {
  const { events, clock, reporter } = start()
  const tell = async (count: number) => {
    for (let at = 0; at < count; at++) {
      reporter.refused({ ...refusal, reason: `${events.length} ${at}` })
      await new Promise((resolve) => setImmediate(resolve))
    }
    return events.length
  }
  expect(await tell(200)).toBe(50)
  clock.advance(4999)
  expect(await tell(10)).toBe(50)
  clock.advance(5001)
  expect(await tell(10)).toBe(52)
})
