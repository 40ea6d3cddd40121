import { expect, test, vi } from 'vitest'
import { ManualClock, systemClock } from './clock.ts'

test('timers of a manual clock run in the order of their time, each at its own', () => {
  const clock = new ManualClock()
  const ran: string[] = []
  clock.after(20, () => ran.push(`late at ${clock.now()}`))
  clock.after(10, () => ran.push(`early at ${clock.now()}`))
  clock.advance(30)
  expect(ran).toEqual(['early at 10', 'late at 20'])
  expect(clock.now()).toBe(30)
})

test('a timer set by a timer runs within the same advance when it is due', () => {
  const clock = new ManualClock()
  const ran: number[] = []
  const again = () => {
    ran.push(clock.now())
    clock.after(10, again)
  }
  clock.after(10, again)
  clock.advance(35)
  expect(ran).toEqual([10, 20, 30])
})

test('a cancelled timer does not run', () => {
  const clock = new ManualClock()
  let ran = false
  const cancel = clock.after(10, () => {
    ran = true
  })
  cancel()
  clock.advance(20)
  expect(ran).toBe(false)
})

test('the wall of a manual clock moves with it', () => {
  const clock = new ManualClock(1000)
  clock.advance(5)
  expect(clock.wall()).toBe(1005)
})

test('a timer of the system clock runs, and not once it was cancelled', async () => {
  const ran: string[] = []
  const keepAlive = setTimeout(() => undefined, 60_000)
  await new Promise<void>((resolve) => {
    systemClock.after(1, () => ran.push('cancelled'))()
    systemClock.after(2, () => {
      ran.push('kept')
      resolve()
    })
  })
  clearTimeout(keepAlive)
  expect(ran).toEqual(['kept'])
})

test('what is set for later than Node can wait for is not run at once', () => {
  vi.useFakeTimers()
  try {
    const ran: string[] = []
    const month = 31 * 24 * 3_600_000
    systemClock.after(month, () => ran.push('month'))
    const cancel = systemClock.after(2 * month, () => ran.push('two'))
    vi.advanceTimersByTime(month - 1)
    expect(ran).toEqual([])
    vi.advanceTimersByTime(1)
    expect(ran).toEqual(['month'])
    cancel()
    vi.advanceTimersByTime(2 * month)
    expect(ran).toEqual(['month'])
  } finally {
    vi.useRealTimers()
  }
})
