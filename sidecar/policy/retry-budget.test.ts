import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createRetryBudget } from './retry-budget.ts'

function start(percent = 20, minPerSecond = 3) {
  const clock = new ManualClock()
  const budget = createRetryBudget({ percent, minPerSecond }, clock)
  const request = (times: number) => {
    for (let i = 0; i < times; i++) {
      budget.onRequest()
      budget.onRequestEnd()
    }
  }
  const takeAll = () => {
    let taken = 0
    while (taken < 100_000 && budget.take()) taken++
    return taken
  }
  return { clock, budget, request, takeAll }
}

test('a quiet service has three retries a second, which may come at once', () => {
  const { clock, takeAll, request } = start()
  request(1)
  expect(takeAll()).toBe(30)
  clock.advance(5_000)
  expect(takeAll()).toBe(0)
  clock.advance(5_000)
  expect(takeAll()).toBe(30)
})

test('a busy service has a fifth of its requests of the last ten seconds', () => {
  const { clock, takeAll, request } = start()
  for (let second = 0; second < 30; second++) {
    request(100)
    clock.advance(1_000)
  }
  // Nine full seconds and the one that has just begun.
  expect(takeAll()).toBe(180)
})

test('when everything fails, retries add a fifth to the load and no more', () => {
  const { clock, budget } = start()
  let retries = 0
  for (let second = 0; second < 60; second++) {
    for (let i = 0; i < 1000; i++) {
      budget.onRequest()
      if (budget.take()) retries++
      budget.onRequestEnd()
    }
    clock.advance(1_000)
  }
  expect(retries / 60_000).toBeGreaterThan(0.19)
  expect(retries / 60_000).toBeLessThanOrEqual(0.2)
})

test('requests that last longer than the window count as long as they are in flight', () => {
  const { clock, budget, takeAll } = start(20, 0)
  for (let i = 0; i < 500; i++) budget.onRequest()
  clock.advance(60_000)
  expect(takeAll()).toBe(100)
  for (let i = 0; i < 500; i++) budget.onRequestEnd()
  clock.advance(60_000)
  expect(takeAll()).toBe(0)
})

test('0 % and none a second means no retry at all', () => {
  const { request, takeAll } = start(0, 0)
  request(1000)
  expect(takeAll()).toBe(0)
})
