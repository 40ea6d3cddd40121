import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createDrain, type DrainOptions, type DrainResult } from './drain.ts'

function createRig(overrides: Partial<DrainOptions> = {}) {
  const clock = new ManualClock()
  const active = { inbound: 1, outbound: 1, arrivals: 0 }
  const told: string[] = []
  const drain = createDrain({
    clock,
    inboundLimitMs: 30_000,
    outboundLimitMs: 5000,
    closeInbound: () => void told.push('inbound'),
    inboundQuietMs: 0,
    closeAll: () => void told.push('all'),
    inboundArrivals: () => active.arrivals,
    inboundActive: () => active.inbound,
    outboundActive: () => active.outbound,
    ...overrides,
  })
  return { clock, active, told, drain }
}

/** Where the promise stands after what is due has run. */
async function settledValue(promise: Promise<DrainResult>): Promise<DrainResult | 'pending'> {
  await new Promise(setImmediate)
  return Promise.race([promise, Promise.resolve('pending' as const)])
}

test('stage one tells inbound alone to close and is over when inbound is idle', async () => {
  const { clock, active, told, drain } = createRig()
  const result = drain.start()
  expect(drain.state.current).toBe('draining')
  expect(told).toEqual(['inbound'])
  clock.advance(1000)
  expect(await settledValue(result)).toBe('pending')
  active.inbound = 0
  clock.advance(50)

  expect(await settledValue(result)).toEqual({ isIdle: true, remaining: 0 })
  expect(drain.state.current).toBe('drained')
  expect(told).toEqual(['inbound'])
})

test('stage one is over at its limit whatever is still open', async () => {
  const { clock, drain } = createRig()
  const result = drain.start()
  clock.advance(29_950)
  expect(await settledValue(result)).toBe('pending')
  clock.advance(50)

  expect(await settledValue(result)).toEqual({ isIdle: false, remaining: 1 })
})

test('stage one lasts until nothing has come in for its quiet time, although nothing is open', async () => {
  const { clock, active, drain } = createRig({ inboundQuietMs: 500 })
  active.inbound = 0
  const result = drain.start()
  for (let i = 0; i < 10; i++) {
    clock.advance(450)
    active.arrivals++
    clock.advance(50)
  }
  clock.advance(450)
  expect(await settledValue(result)).toBe('pending')
  clock.advance(50)

  expect(await settledValue(result)).toEqual({ isIdle: true, remaining: 0 })
})

test('a second call of stage one joins the first', async () => {
  const { active, told, drain } = createRig()
  active.inbound = 0

  expect(drain.start()).toBe(drain.start())
  expect(told).toEqual(['inbound'])
})

test('stage two tells outbound to close and waits shortly', async () => {
  const { clock, active, told, drain } = createRig()
  active.inbound = 0
  await drain.start()
  const result = drain.stop()
  expect(drain.state.current).toBe('stopping')
  expect(told).toEqual(['inbound', 'all'])
  clock.advance(4950)
  expect(await settledValue(result)).toBe('pending')
  clock.advance(50)

  expect(await settledValue(result)).toEqual({ isIdle: false, remaining: 1 })
  expect(drain.state.current).toBe('stopped')
})

test('stage two without stage one closes both sides and waits for both', async () => {
  const { clock, active, told, drain } = createRig()
  const result = drain.stop()
  expect(told).toEqual(['inbound', 'all'])
  active.outbound = 0
  clock.advance(100)
  expect(await settledValue(result)).toBe('pending')
  active.inbound = 0
  clock.advance(50)

  expect(await settledValue(result)).toEqual({ isIdle: true, remaining: 0 })
})

test('stage two in the middle of stage one goes on, and stage one ends without going back', async () => {
  const { clock, active, drain } = createRig()
  const first = drain.start()
  const second = drain.stop()
  active.inbound = 0
  active.outbound = 0
  clock.advance(50)

  expect(await settledValue(first)).toEqual({ isIdle: true, remaining: 0 })
  expect(await settledValue(second)).toEqual({ isIdle: true, remaining: 0 })
  expect(drain.state.current).toBe('stopped')
})

test('a second signal ends all waiting at once', async () => {
  const { drain } = createRig()
  const first = drain.start()
  const second = drain.stop()
  await drain.stop()

  expect(await settledValue(first)).toEqual({ isIdle: false, remaining: 1 })
  expect(await settledValue(second)).toEqual({ isIdle: false, remaining: 2 })
  expect(drain.state.current).toBe('stopped')
})

test('the states follow one another and are told to whoever watches', async () => {
  const { active, drain } = createRig()
  const seen: string[] = []
  drain.state.subscribe((state) => seen.push(state))
  active.inbound = 0
  active.outbound = 0
  await drain.start()
  await drain.stop()

  expect(seen).toEqual(['draining', 'drained', 'stopping', 'stopped'])
})
