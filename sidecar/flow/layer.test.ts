import { expect, test } from 'vitest'
import { choose, type Layer, Path } from './layer.ts'

const adds =
  (fact: string): Layer<string, string, string> =>
  (next) =>
  (input) =>
    next(`${input} ${fact}`)

test('a path runs its layers in the order in which it reads', async () => {
  const path = Path.from<string, string>()
    .through(adds('accepted'))
    .through(adds('detected'))
    .to(async (input) => `${input} relayed`)
  await expect(path('socket')).resolves.toBe('socket accepted detected relayed')
})

test('layers are composed once, when the path is built', async () => {
  let composed = 0
  const counts: Layer<string, string, string> = (next) => {
    composed++
    return next
  }
  const path = Path.from<string, string>()
    .through(counts)
    .to(async (input) => input)
  await path('a')
  await path('b')
  expect(composed).toBe(1)
})

test('a layer that does not call the next ends the path', async () => {
  const refuses: Layer<string, string, string> = () => async () => 'refused'
  let reached = false
  const path = Path.from<string, string>()
    .through(refuses)
    .to(async (input) => {
      reached = true
      return input
    })
  await expect(path('a')).resolves.toBe('refused')
  expect(reached).toBe(false)
})

test('choose ends one path in the branch that the input names', async () => {
  const path = choose((input: { kind: 'a' | 'b' }) => input.kind, { a: async () => 1, b: async () => 2 })
  await expect(path({ kind: 'b' })).resolves.toBe(2)
})
