// What the parts of a request cost that balancing and policy add: nanoseconds each, on one thread.

import { Deadlines } from '#flow/deadlines.ts'
import type { Endpoint, Outcome } from '#flow/upstream.ts'
import { systemClock } from '#shared/clock.ts'
import { Watched } from '#shared/watch.ts'
import { createHealthTracker } from '../../sidecar/balance/health.ts'
import { createPool } from '../../sidecar/balance/pool.ts'
import { AffinityMemory, type SessionAffinity } from '../../sidecar/balance/session-affinity.ts'
import { createBreaker } from '../../sidecar/policy/breaker.ts'
import { createRetryBudget } from '../../sidecar/policy/retry-budget.ts'

const ROUNDS = 5
const OK: Outcome = { ok: true, fault: null, status: 200, durationMs: 1 }

/** The median of five rounds, after one to warm up. */
async function measure(name: string, times: number, run: () => void): Promise<void> {
  const nanoseconds: number[] = []
  for (let round = 0; round <= ROUNDS; round++) {
    const from = process.cpuUsage()
    for (let i = 0; i < times; i++) {
      run()
      if (i % 100 === 0) await null
    }
    await new Promise((resolve) => setImmediate(resolve))
    const spent = process.cpuUsage(from)
    if (round > 0) nanoseconds.push(((spent.user + spent.system) * 1000) / times)
  }
  nanoseconds.sort((a, b) => a - b)
  console.log(`${name.padEnd(44)} ${(nanoseconds[ROUNDS >> 1] as number).toFixed(0).padStart(6)} ns`)
}

function createPoolOf(
  count: number,
  algorithm: 'RoundRobin' | 'LeastRequest',
  weightOf: (index: number) => number,
  affinity: SessionAffinity | null = null,
) {
  const endpoints = Array.from({ length: count }, (_, index): Endpoint => {
    return { address: { host: '10.0.0.1', port: index + 1 }, weight: weightOf(index), identity: null, pod: 'p' }
  })
  const health = createHealthTracker({ consecutiveFailures: 5 }, systemClock)
  return createPool({
    endpoints: new Watched(endpoints),
    policy: { algorithm },
    health,
    affinity,
    random: Math.random,
  })
}

for (const algorithm of ['RoundRobin', 'LeastRequest'] as const) {
  for (const [label, count, weightOf] of [
    ['3 equal', 3, () => 1],
    ['1000 equal', 1000, () => 1],
    ['1000 of unlike weight', 1000, (index: number) => 1 + (index % 10)],
  ] as const) {
    const pool = createPoolOf(count, algorithm, weightOf)
    await measure(`lease + done, ${algorithm}, ${label}`, 1_000_000, () => pool.lease(0, [])?.done(OK))
  }
}

const affinity = { memory: new AffinityMemory(), timeoutMs: 60_000, clock: systemClock }
const sticky = createPoolOf(1000, 'LeastRequest', () => 1, affinity)
await measure('lease + done, session affinity, 1000', 1_000_000, () => sticky.lease(0, [])?.done(OK))

const deadlines = new Deadlines<object>(5_000, systemClock, () => {})
const items = Array.from({ length: 1000 }, () => ({}))
let next = 0
await measure('deadline: start + stop, 1000 running', 1_000_000, () => {
  const item = items[next++ % 1000] as object
  deadlines.start(item)
  if (next > 500) deadlines.stop(items[(next - 500) % 1000] as object)
})
const budget = createRetryBudget({ percent: 20, minPerSecond: 3 }, systemClock)
await measure('retry budget: request + end', 1_000_000, () => {
  budget.onRequest()
  budget.onRequestEnd()
})
const breaker = createBreaker(
  { errorThresholdPercent: 50, volumeThreshold: 20, rollingWindowMs: 10_000, resetTimeoutMs: 5_000 },
  'bench',
)
await measure('breaker (opossum): admit + success', 300_000, () => breaker.admit()?.success())
const failing = createBreaker(
  { errorThresholdPercent: 100, volumeThreshold: 20, rollingWindowMs: 10_000, resetTimeoutMs: 5_000 },
  'bench',
)
failing.admit()?.success()
await measure('breaker (opossum): admit + failure, closed', 30_000, () => failing.admit()?.failure())
await measure('breaker (opossum): refused, open', 1_000_000, () => {
  if (failing.state === 'open') failing.admit()
})
breaker.close()
failing.close()
