import { expect, test } from 'vitest'
import { ManualClock } from '#shared/clock.ts'
import { createIdleLimit } from './idle-limit.ts'

function start(configuredMs = 60_000) {
  const clock = new ManualClock()
  const limit = createIdleLimit(configuredMs, clock)
  const closeAfter = (idleForMs: number, laterMs = 10_000) => {
    clock.advance(laterMs)
    return limit.observeClose(idleForMs)
  }
  return { limit, closeAfter }
}

test('two closes at the same age show a habit, and ours stays below it', () => {
  const { limit, closeAfter } = start()
  expect(closeAfter(5_010)).toBe(false)
  expect(limit.idleMs).toBe(60_000)
  expect(closeAfter(5_003)).toBe(true)
  expect(limit.idleMs).toBeCloseTo(4_002.4)
})

test('closes at unlike ages show none', () => {
  const { limit, closeAfter } = start()
  for (const age of [5_000, 9_000, 2_000, 30_000, 11_000]) expect(closeAfter(age)).toBe(false)
  expect(limit.idleMs).toBe(60_000)
})

test('a restart, which closes all at once, shows none', () => {
  const { limit, closeAfter } = start()
  closeAfter(5_000, 10_000)
  for (let i = 0; i < 20; i++) expect(closeAfter(5_000, 1)).toBe(false)
  expect(limit.idleMs).toBe(60_000)
})

test('closes of young connections show none', () => {
  const { limit, closeAfter } = start()
  for (let i = 0; i < 10; i++) expect(closeAfter(300)).toBe(false)
  expect(limit.idleMs).toBe(60_000)
})

test('an endpoint that shortens its habit is followed', () => {
  const { limit, closeAfter } = start()
  closeAfter(10_000)
  closeAfter(10_000)
  expect(limit.idleMs).toBe(8_000)
  closeAfter(3_000)
  closeAfter(3_000)
  expect(limit.idleMs).toBe(2_400)
})
