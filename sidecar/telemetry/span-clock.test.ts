import { expect, test } from 'vitest'
import type { Clock } from '#shared/clock.ts'
import { createSpanClock } from './span-clock.ts'

function clockOf(state: { now: number; wall: number }): Clock {
  return { now: () => state.now, wall: () => state.wall, after: () => () => {} }
}

test('times are seconds and nanoseconds, finer than the wall clock', () => {
  const times = createSpanClock(clockOf({ now: 1000, wall: 1_700_000_001_000 }))

  expect(times.at(1000.25)).toEqual([1_700_000_001, 250_000])
  expect(times.at(999.75)).toEqual([1_700_000_000, 999_750_000])
})

test('a process that rested between its first readings comes nearer to the true time with each further one', () => {
  const state = { now: 100, wall: 1_700_000_000_093 }
  const times = createSpanClock(clockOf(state))
  expect(times.at(100)).toEqual([1_700_000_000, 93_000_000])
  for (const [now, wall] of [
    [110, 109],
    [120.5, 120],
    [130, 124],
  ] as const) {
    Object.assign(state, { now, wall: 1_700_000_000_000 + wall })
    times.now()
  }

  expect(times.at(140.5)).toEqual([1_700_000_000, 140_000_000])
})

test('a small step of the wall clock does not put a child before its parent, a set clock is followed', () => {
  const state = { now: 0, wall: 1_700_000_000_000 }
  const times = createSpanClock(clockOf(state))
  state.now = 10
  state.wall -= 5
  expect(times.now()).toEqual([1_700_000_000, 10_000_000])
  state.wall = 1_800_000_000_000

  expect(times.now()).toEqual([1_800_000_000, 0])
})
