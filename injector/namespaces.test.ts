import { afterEach, beforeEach, expect, test } from 'vitest'
import { ManualClock, systemClock } from '#shared/clock.ts'
import { createKubeClient, type KubeClient } from '#shared/kube/client.ts'
import { NAMESPACES } from '#shared/kube/objects.ts'
import { silentLog } from '#shared/log.ts'
import { type FakeApiServer, startFakeApiServer } from '../test/support/fake-api-server.ts'
import type { Namespaces } from './admit.ts'
import { createNamespaces } from './namespaces.ts'

const ENABLED = { 'weft.dev/inject': 'enabled' }

let api: FakeApiServer
let client: KubeClient
let clock: ManualClock
let namespaces: Namespaces
beforeEach(async () => {
  api = await startFakeApiServer(NAMESPACES)
  client = createKubeClient({ connection: api.connection, clock: systemClock, userAgent: 'test' })
  clock = new ManualClock()
  namespaces = createNamespaces({ client, clock, log: silentLog })
})
afterEach(async () => {
  client.close()
  await api[Symbol.asyncDispose]()
})

const put = (name: string, labels: Record<string, string>) => api.put(NAMESPACES, { metadata: { name, labels } })

test('a namespace that wants sidecars is asked about once in ten seconds, however many pods it gets', async () => {
  put('shop', ENABLED)

  const answers = await Promise.all(Array.from({ length: 50 }, () => namespaces.labelsOf('shop')))
  expect(answers).toEqual(Array.from({ length: 50 }, () => ENABLED))
  clock.advance(9_999)
  expect(await namespaces.labelsOf('shop')).toEqual(ENABLED)
  expect(api.requests).toHaveLength(1)

  clock.advance(1)
  put('shop', {})
  expect(await namespaces.labelsOf('shop')).toEqual({})
  expect(api.requests).toHaveLength(2)
})

test('a namespace that has just been labelled loses no sidecar to an older no', async () => {
  put('shop', {})
  expect(await namespaces.labelsOf('shop')).toEqual({})

  put('shop', ENABLED)

  expect(await namespaces.labelsOf('shop')).toEqual(ENABLED)
})

test('of a namespace that cannot be read nothing is known, and the next pod asks again', async () => {
  put('shop', ENABLED)
  api.refuse('GET /api/v1/namespaces/shop', 403)

  expect(await namespaces.labelsOf('shop')).toBeUndefined()
  expect(await namespaces.labelsOf('gone')).toBeUndefined()
  expect(await namespaces.labelsOf('shop')).toEqual(ENABLED)
})
