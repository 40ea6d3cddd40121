import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createAllowance } from './allowance.ts'

test('beyond its burst work waits until it has taken no more than its share', () => {
  const clock = new ManualClock()
  const allowance = createAllowance({ share: 0.25, burstMs: 400 }, () => clock.now())
  const work = (ms: number) => allowance.charge(() => clock.advance(ms))

  work(300)
  expect(allowance.isUsedUp()).toBe(false)
  work(300)
  expect(allowance.isUsedUp()).toBe(true)
  clock.advance(199)
  expect(allowance.isUsedUp()).toBe(true)
  clock.advance(2)
  expect(allowance.isUsedUp()).toBe(false)
})

test('work that fails is charged too', () => {
  const clock = new ManualClock()
  const allowance = createAllowance({ share: 0.5, burstMs: 100 }, () => clock.now())
  const fail = () => {
    clock.advance(300)
    throw new TypeError('no')
  }
  expect(() => allowance.charge(fail)).toThrow('no')
  expect(allowance.isUsedUp()).toBe(true)
})
