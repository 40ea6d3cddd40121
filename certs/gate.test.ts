import { expect, test } from 'vitest'
import { createGate, GateFull } from './gate.ts'

test('as many run at once as may, the next waits its turn, and one too many is told', async () => {
  const gate = createGate({ atOnce: 2, waiting: 1 })
  const began: number[] = []
  const ends = [0, 1, 2].map(() => Promise.withResolvers<void>())
  const runs = ends.map(({ promise }, index) =>
    gate.run(() => {
      began.push(index)
      return promise
    }),
  )
  await expect(gate.run(async () => {})).rejects.toThrow(GateFull)
  expect(began).toEqual([0, 1])
  ends[0]?.resolve()
  await runs[0]
  expect(began).toEqual([0, 1, 2])
  ends[1]?.resolve()
  ends[2]?.resolve()
  await Promise.all(runs)
  expect(await gate.run(async () => 'free again')).toBe('free again')
})

test('a task that fails gives its place back', async () => {
  const gate = createGate({ atOnce: 1, waiting: 0 })
  await expect(gate.run(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await gate.run(async () => 1)).toBe(1)
})
