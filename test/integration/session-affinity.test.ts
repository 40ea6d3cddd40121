// sessionAffinity: ClientIP as applications meet it: one replica for each calling pod, whatever it sends, while that replica serves.
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Answered, type Caller, callerIn, callerPod, faultyIn, faultyPod } from '../support/caller.ts'
import { documents, trafficPolicy } from '../support/documents.ts'
import { startMesh, type TestMesh } from '../support/mesh.ts'
import { httpRoute, service } from '../support/routes.ts'

const REPLICAS = 4

const sticky = (name: string, app: string, appProtocol = 'http') =>
  documents({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name, namespace: 'test' },
    spec: { selector: { app }, ports: [{ name: 'p8080', port: 8080, appProtocol }], sessionAffinity: 'ClientIP' },
  })

const pods =
  callerPod({ replicas: 2 }) +
  faultyPod({ name: 'v1', replicas: REPLICAS }) +
  faultyPod({ name: 'v2', replicas: REPLICAS })
const services =
  sticky('one', 'v1') +
  sticky('other', 'v2') +
  sticky('bytes', 'v1', 'tcp') +
  service('spread', 'v1') +
  service('split', 'v1') +
  httpRoute('split', [{ to: { one: 1, other: 1 } }]) +
  sticky('failing', 'v2') +
  trafficPolicy('failing', { retries: { attempts: 1, statuses: [503] }, outlierDetection: { consecutiveFailures: 3 } })

let mesh: TestMesh
let callers: readonly Caller[]

beforeAll(async () => {
  mesh = await startMesh(pods + services)
  callers = [callerIn(mesh, 'client-0'), callerIn(mesh, 'client-1')]
})
afterAll(() => mesh?.[Symbol.asyncDispose]())

const podsOf = (answers: readonly Answered[]) => [...new Set(answers.map(({ headers }) => headers['x-pod']))].sort()
const askedBy = async (caller: Caller | undefined, name: string, count = 30) => {
  const answers = await caller?.requests(`http://${name}:8080/`, count, { concurrency: 4, isKeepAlive: false })
  expect(answers?.map(({ status }) => status)).toEqual(Array(count).fill(200))
  return podsOf(answers ?? [])
}

test('a pod keeps to one replica, and the same replicas are shared through a service without affinity', async () => {
  for (const caller of callers) {
    const kept = await askedBy(caller, 'one')
    expect(kept).toHaveLength(1)
    expect(await askedBy(caller, 'spread', 200)).toHaveLength(REPLICAS)
    expect(await askedBy(caller, 'one')).toEqual(kept)
  }
})

test('connections that are carried as bytes keep to one replica too', async () => {
  for (const caller of callers) expect(await askedBy(caller, 'bytes')).toHaveLength(1)
})

test('where a route splits, each backend has a replica of its own, the one that calls straight to it have', async () => {
  for (const caller of callers) {
    const straight = [...(await askedBy(caller, 'one')), ...(await askedBy(caller, 'other'))]
    expect(await askedBy(caller, 'split', 100)).toEqual(straight)
  }
})

test('a replica that fails is left by the retry, and not gone back to when it has recovered', async () => {
  const [caller] = callers
  const [first = ''] = await askedBy(caller, 'failing')
  const failing = faultyIn(mesh, first)
  await failing.set(503)
  const [second = '', ...more] = podsOf((await caller?.requests('http://failing:8080/', 30)) ?? [])
  expect(more).toEqual([])
  expect(second).not.toBe(first)
  expect(await failing.seen()).toEqual({ GET: 1 })
  await failing.set(200)
  expect(await askedBy(caller, 'failing')).toEqual([second])
})
