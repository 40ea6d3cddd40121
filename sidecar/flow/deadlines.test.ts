import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { Deadlines } from './deadlines.ts'

function start(lengthMs: number) {
  const clock = new ManualClock()
  const expired: [string, number][] = []
  const items = new Map<string, { name: string }>()
  const deadlines = new Deadlines<{ name: string }>(lengthMs, clock, (item) => expired.push([item.name, clock.now()]))
  const item = (name: string) => {
    const known = items.get(name) ?? { name }
    items.set(name, known)
    return known
  }
  return { clock, expired, deadlines, item }
}

test('each expires at its own time, once', () => {
  const { clock, expired, deadlines, item } = start(100)
  deadlines.start(item('a'))
  clock.advance(30)
  deadlines.start(item('b'))
  clock.advance(1000)
  expect(expired).toEqual([
    ['a', 100],
    ['b', 130],
  ])
  expect(deadlines.size).toBe(0)
})

test('one that was stopped does not expire, and says how long it ran', () => {
  const { clock, expired, deadlines, item } = start(100)
  deadlines.start(item('a'))
  clock.advance(60)
  expect(deadlines.stop(item('a'))).toBe(60)
  expect(deadlines.stop(item('a'))).toBeUndefined()
  clock.advance(1000)
  expect(expired).toEqual([])
})

test('a touch starts it afresh, but not one that does not run', () => {
  const { clock, expired, deadlines, item } = start(100)
  deadlines.start(item('a'))
  deadlines.start(item('b'))
  clock.advance(90)
  deadlines.touch(item('a'))
  deadlines.touch(item('c'))
  clock.advance(1000)
  expect(expired).toEqual([
    ['b', 100],
    ['a', 190],
  ])
})

test('an expiry may start another', () => {
  const clock = new ManualClock()
  const times: number[] = []
  const item = {}
  const deadlines: Deadlines<object> = new Deadlines(100, clock, () => {
    times.push(clock.now())
    if (times.length < 3) deadlines.start(item)
  })
  deadlines.start(item)
  clock.advance(1000)
  expect(times).toEqual([100, 200, 300])
})

test('a new length holds for those that run already', () => {
  const { clock, expired, deadlines, item } = start(1000)
  deadlines.start(item('a'))
  clock.advance(100)
  deadlines.lengthMs = 300
  clock.advance(1000)
  expect(expired).toEqual([['a', 300]])
})

test('however many start and stop, one timer is enough', () => {
  let timers = 0
  const clock = new ManualClock()
  const counting = {
    now: () => clock.now(),
    wall: () => clock.wall(),
    after: (delayMs: number, run: () => void) => {
      timers++
      return clock.after(delayMs, run)
    },
  }
  const deadlines = new Deadlines<object>(5000, counting, () => {})
  for (let i = 0; i < 1000; i++) {
    const item = {}
    deadlines.start(item)
    deadlines.stop(item)
  }
  expect(timers).toBe(1)
})

test('cleared deadlines do not expire', () => {
  const { clock, expired, deadlines, item } = start(100)
  deadlines.start(item('a'))
  deadlines.clear()
  clock.advance(1000)
  expect(expired).toEqual([])
})
