// A canary as an operator does it: a small share, more of it, all of it, while requests go on.
import { expect, test } from 'vitest'
import { type Answered, type Caller, callerIn, callerPod, faultyPod, until } from '../support/caller.ts'
import { startMesh } from '../support/mesh.ts'
import { httpRoute, reconfigure, service } from '../support/routes.ts'

const pods = callerPod() + faultyPod({ name: 'v1' }) + faultyPod({ name: 'v2' }) + service('shop', 'v1')
const split = (v1: number, v2: number) => pods + httpRoute('shop', [{ to: { v1, v2 } }])
const URL = 'http://shop:8080/'

const ofV2 = (answers: readonly Answered[]) => answers.filter(({ headers }) => headers['x-pod'] === 'v2-0').length

/**
 * True where a fair split would give a count this far from its mean less than once in 10 million runs (6 standard deviations,
 * by the binomial distribution): too rare for chance, far enough from other weights.
 */
function isUnlikely(count: number, of: number, share: number): boolean {
  return Math.abs(count - of * share) > 6 * Math.sqrt(of * share * (1 - share))
}

async function untilV2Serves(client: Caller, atLeast: number): Promise<void> {
  await until(`v2 serves ${atLeast} of 100`, async () => ofV2(await client.requests(URL, 100)) >= atLeast)
}

test('weights of 95 and 5 share 1000 requests so, and each further step costs no request and no connection', async () => {
  await using mesh = await startMesh(split(95, 5))
  const client = callerIn(mesh)

  const answers = await client.requests(URL, 1000, { concurrency: 4 })
  expect(answers.filter(({ status }) => status !== 200)).toEqual([])
  expect(ofV2(answers)).toBeGreaterThan(0)
  expect(isUnlikely(ofV2(answers), 1000, 0.05), `${ofV2(answers)} of 1000`).toBe(false)

  const stopLoad = await client.startLoad(URL, { concurrency: 2 })
  reconfigure(mesh, split(1, 1))
  await untilV2Serves(client, 30)
  const half = ofV2(await client.requests(URL, 400, { concurrency: 2 }))
  expect(isUnlikely(half, 400, 0.5), `${half} of 400`).toBe(false)

  reconfigure(mesh, split(0, 1))
  await untilV2Serves(client, 100)
  expect(ofV2(await client.requests(URL, 200, { concurrency: 2 }))).toBe(200)

  // The way back is as quick.
  reconfigure(mesh, split(1, 0))
  await until('v1 serves all', async () => ofV2(await client.requests(URL, 50)) === 0)
  const load = await stopLoad()
  expect(load.failures).toEqual([])
  expect(load.total).toBeGreaterThan(50)
})
