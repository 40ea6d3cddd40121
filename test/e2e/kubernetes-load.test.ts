// Calls at a constant rate on a real Kubernetes of one node while what serves them is replaced, killed or away: none may fail.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { LoadResult, RequestOptions } from '../support/caller.ts'
import { until } from '../support/caller.ts'
import { WEFT } from './kubernetes/installation.ts'
import { get, isReady, kubectl, namesOf, type Pod, podsOf, run } from './kubernetes/kubectl.ts'
import { idlePod, takeAway, untilReady } from './kubernetes/workloads.ts'
import { createWorld, type World } from './kubernetes/world.ts'

/** A request that waits for so long has failed. */
const LOAD = { ratePerSecond: 200, timeoutMs: 10_000 }
const AWAY_MS = 120_000
const CONTROL_PLANE = ['control', 'certs', 'injector']

let world: World

beforeAll(async () => {
  world = await createWorld()
})
afterAll(() => world?.[Symbol.asyncDispose]())

async function underLoad(act: () => Promise<void>, load: RequestOptions = LOAD): Promise<LoadResult> {
  const stop = await world.shopper.startLoad('http://echo/', load)
  const ended = await act().then(
    () => undefined,
    (error: unknown) => ({ error }),
  )
  const result = await stop()
  if (ended !== undefined) throw ended.error
  return result
}

test('rolling updates of three replicas at 200 requests a second fail no request, five times in a row', async () => {
  for (let round = 1; round <= 5; round++) {
    const startedAt = performance.now()
    const result = await underLoad(replaceEcho)
    const seconds = (performance.now() - startedAt) / 1000
    expect(result, `update ${round}`).toMatchObject({ failed: 0, failures: [] })
    expect(result.total, `update ${round}`).toBeGreaterThan(LOAD.ratePerSecond * seconds * 0.9)
    expect(result.pods.length, `update ${round}`).toBeGreaterThanOrEqual(6)
  }
})

/** Ends when no pod of before is left. */
async function replaceEcho(): Promise<void> {
  const before = namesOf(await podsOf(world.inside, 'app=echo'))
  await kubectl('-n', world.inside, 'rollout', 'restart', 'deployment/echo')
  await untilReady(world.inside)
  const areGone = async () => {
    const { items } = await get<{ items: readonly Pod[] }>(world.inside, 'pods', '-l', 'app=echo')
    return namesOf(items).every((name) => !before.includes(name))
  }
  await until('the old pods have gone', areGone, 60_000)
}

test('control may be killed under load', async () => {
  const result = await underLoad(async () => {
    const selector = 'app.kubernetes.io/component=control'
    const before = namesOf(await podsOf(WEFT, selector))
    await kubectl('-n', WEFT, 'delete', 'pods', '-l', selector, '--grace-period=0', '--force')
    await untilReady(WEFT)
    expect(namesOf(await podsOf(WEFT, selector))).not.toEqual(before)
  })
  expect(result).toMatchObject({ failed: 0, failures: [] })
})

test('the whole control plane may be away for two minutes under load; a sidecar that restarts meanwhile comes back from its snapshot', async () => {
  const readHome = async () => JSON.parse((await world.shopper.request('http://web:8080/')).body) as unknown
  const home = { catalog: { status: 200 }, cart: { status: 200 }, reviews: { status: 200 } }
  // What a sidecar has never used is not in its snapshot.
  expect(await readHome()).toMatchObject(home)
  const result = await underLoad(async () => {
    const ways = await Promise.all(CONTROL_PLANE.map(takeAway))
    const awaySince = performance.now()
    try {
      expect(await podsOf(WEFT)).toEqual([])
      const before = await restartsOfSidecar('web')
      await endSidecar('web')
      await until('web is ready with a new sidecar', async () => (await restartsOfSidecar('web')) > before, 60_000)
      expect(await readHome()).toMatchObject(home)
      await until('two minutes have passed', () => performance.now() - awaySince >= AWAY_MS, AWAY_MS + 1000)
      expect(await podsOf(WEFT)).toEqual([])
    } finally {
      await Promise.all(ways.map((back) => back()))
    }
    // What has changed meanwhile arrives.
    await replaceEcho()
  })
  expect(result).toMatchObject({ failed: 0, failures: [] })
  expect(result.total).toBeGreaterThan((LOAD.ratePerSecond * AWAY_MS * 0.9) / 1000)
})

/** 0 while its pod is not ready. */
async function restartsOfSidecar(app: string): Promise<number> {
  const [pod] = await podsOf(world.inside, `app=${app}`)
  if (pod === undefined || !isReady(pod)) return 0
  return pod.status.initContainerStatuses?.find(({ name }) => name === 'weft-proxy')?.restartCount ?? 0
}

/** Its image has no shell; a signal that has a handler reaches process 1 from within. */
const endSidecar = (app: string) =>
  run('kubectl', ['-n', world.inside, 'exec', `deploy/${app}`, '-c', 'weft-proxy', '--', 'node', '-e', END])
const END = 'process.kill(1, "SIGTERM")'

test('while no webhook answers, labelled namespaces say so and others do not notice', async () => {
  const make = (namespace: string, name: string) =>
    run('kubectl', ['-n', namespace, 'apply', '-f', '-'], JSON.stringify(idlePod(name)))
  const bringBack = await takeAway('injector')
  try {
    const refused = await make(world.inside, 'refused')
    expect(refused.status).not.toBe(0)
    expect(refused.stderr).toContain('failed calling webhook "namespace.inject.weft.dev"')
    expect(refused.stderr).toMatch(/no endpoints available for service "weft-injector"|connection refused/)
    expect(await make(world.outside, 'unnoticed')).toMatchObject({ status: 0 })
  } finally {
    await bringBack()
  }
  await until('pods are made again', async () => (await make(world.inside, 'welcome')).status === 0)
})
