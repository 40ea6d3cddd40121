// opossum has timers of its own, so here time is vitest's.
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import type { CircuitBreakerPolicy } from '#shared/decide/config.ts'
import { type Breaker, type BreakerState, createBreaker, type Permit } from './breaker.ts'

const POLICY: CircuitBreakerPolicy = {
  errorThresholdPercent: 50,
  volumeThreshold: 10,
  rollingWindowMs: 10_000,
  resetTimeoutMs: 5_000,
}

beforeEach(() => {
  vi.useFakeTimers()
})
afterEach(() => {
  vi.useRealTimers()
})

function start(policy: Partial<CircuitBreakerPolicy> = {}) {
  const breaker = createBreaker({ ...POLICY, ...policy }, 'shop/catalog')
  const states: BreakerState[] = []
  breaker.onState((state) => states.push(state))
  return { breaker, states }
}

async function run(breaker: Breaker, outcome: 'success' | 'failure' | 'cancel', times = 1): Promise<number> {
  let admitted = 0
  for (let i = 0; i < times; i++) {
    const permit = breaker.admit()
    if (permit !== null) admitted++
    permit?.[outcome]()
    await settled()
  }
  return admitted
}

/** opossum hears of a settled promise a few microtasks later. */
const settled = () => vi.advanceTimersByTimeAsync(0)

async function openIt(breaker: Breaker): Promise<void> {
  await run(breaker, 'failure', POLICY.volumeThreshold)
  expect(breaker.state).toBe('open')
}

test('opens when the share of failures reaches the threshold over enough requests', async () => {
  const { breaker, states } = start()
  await run(breaker, 'success', 5)
  await run(breaker, 'failure', 4)
  expect(breaker.state).toBe('closed')
  await run(breaker, 'failure')
  expect(breaker.state).toBe('open')
  expect(breaker.admit()).toBeNull()
  expect(states).toEqual(['open'])
  breaker.close()
})

test('does not open below the volume, however many fail', async () => {
  const { breaker } = start({ volumeThreshold: 20 })
  await run(breaker, 'failure', 19)
  expect(breaker.state).toBe('closed')
  await run(breaker, 'failure')
  expect(breaker.state).toBe('open')
  breaker.close()
})

test('a threshold of 100 % can be reached', async () => {
  const { breaker } = start({ errorThresholdPercent: 100 })
  await openIt(breaker)
  breaker.close()
})

test('failures older than the rolling window do not count', async () => {
  const { breaker } = start()
  await run(breaker, 'failure', 9)
  await vi.advanceTimersByTimeAsync(POLICY.rollingWindowMs)
  await run(breaker, 'failure', 9)
  expect(breaker.state).toBe('closed')
  breaker.close()
})

test('requests that a client abandoned count neither way', async () => {
  const { breaker } = start()
  await run(breaker, 'cancel', 100)
  await run(breaker, 'failure', 9)
  expect(breaker.state).toBe('closed')
  await run(breaker, 'failure')
  expect(breaker.state).toBe('open')
  breaker.close()
})

test('half-open lets one request through, and its success closes the breaker', async () => {
  const { breaker, states } = start()
  await openIt(breaker)
  await vi.advanceTimersByTimeAsync(POLICY.resetTimeoutMs - 1)
  expect(breaker.admit()).toBeNull()
  await vi.advanceTimersByTimeAsync(1)
  expect(breaker.state).toBe('halfOpen')
  const probe = breaker.admit()
  expect(probe?.isProbe).toBe(true)
  expect(breaker.admit()).toBeNull()
  probe?.success()
  await settled()
  expect(states).toEqual(['open', 'halfOpen', 'closed'])
  expect(breaker.admit()?.isProbe).toBe(false)
  breaker.close()
})

test('a failed probe opens the breaker for another reset time', async () => {
  const { breaker, states } = start()
  await openIt(breaker)
  await vi.advanceTimersByTimeAsync(POLICY.resetTimeoutMs)
  await run(breaker, 'failure')
  expect(breaker.admit()).toBeNull()
  await vi.advanceTimersByTimeAsync(POLICY.resetTimeoutMs - 1)
  expect(breaker.admit()).toBeNull()
  await vi.advanceTimersByTimeAsync(1)
  expect(breaker.admit()).not.toBeNull()
  expect(states).toEqual(['open', 'halfOpen', 'open', 'halfOpen'])
  breaker.close()
})

test('a probe that its client abandoned makes room for another', async () => {
  const { breaker } = start()
  await openIt(breaker)
  await vi.advanceTimersByTimeAsync(POLICY.resetTimeoutMs)
  expect(await run(breaker, 'cancel', 3)).toBe(3)
  expect(breaker.state).toBe('halfOpen')
  await run(breaker, 'success')
  expect(breaker.state).toBe('closed')
  breaker.close()
})

test('requests from before the opening neither close nor open it when they end', async () => {
  const { breaker } = start()
  const early = Array.from({ length: 6 }, () => breaker.admit() as Permit)
  await openIt(breaker)
  early[0]?.success()
  early[1]?.failure()
  await settled()
  expect(breaker.state).toBe('open')
  await vi.advanceTimersByTimeAsync(POLICY.resetTimeoutMs)
  early[2]?.success()
  early[3]?.failure()
  early[4]?.cancel()
  await settled()
  expect(breaker.state).toBe('halfOpen')
  const probe = breaker.admit()
  expect(probe).not.toBeNull()
  early[5]?.cancel()
  expect(breaker.admit()).toBeNull()
  breaker.close()
})

test('a closed breaker begins afresh: the failures that opened it do not open it again', async () => {
  const { breaker } = start()
  await openIt(breaker)
  await vi.advanceTimersByTimeAsync(POLICY.resetTimeoutMs)
  await run(breaker, 'success')
  await run(breaker, 'failure', 9)
  expect(breaker.state).toBe('closed')
  breaker.close()
})

test('a permit counts once', async () => {
  const { breaker } = start()
  const permit = breaker.admit()
  for (let i = 0; i < 20; i++) permit?.failure()
  await settled()
  expect(breaker.state).toBe('closed')
  breaker.close()
})

test('a closed breaker leaves no timer, admits all and tells nothing', async () => {
  const { breaker, states } = start()
  await openIt(breaker)
  breaker.close()
  expect(vi.getTimerCount()).toBe(0)
  expect(await run(breaker, 'failure', 50)).toBe(50)
  expect(states).toEqual(['open'])
})
