import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createSourceLimit } from './limit.ts'

test('twenty requests at once are admitted, then one each second', () => {
  const clock = new ManualClock()
  const limit = createSourceLimit(clock)
  const admitted = Array.from({ length: 25 }, () => limit.admit('10.0.0.1')).filter(Boolean)
  expect(admitted.length).toBe(20)
  clock.advance(999)
  expect(limit.admit('10.0.0.1')).toBe(false)
  clock.advance(1)
  expect(limit.admit('10.0.0.1')).toBe(true)
  expect(limit.admit('10.0.0.1')).toBe(false)
})

test('one address that asks too often takes nothing from another', () => {
  const limit = createSourceLimit(new ManualClock())
  for (let index = 0; index < 100; index++) limit.admit('10.0.0.1')
  expect(limit.admit('10.0.0.2')).toBe(true)
})

test('a quiet address never saves up more than twenty', () => {
  const clock = new ManualClock()
  const limit = createSourceLimit(clock)
  limit.admit('10.0.0.1')
  clock.advance(3600_000)
  expect(Array.from({ length: 25 }, () => limit.admit('10.0.0.1')).filter(Boolean).length).toBe(20)
})
