import { expect, test } from 'vitest'
import { until, Watched } from './watch.ts'

const isThree = (value: number): value is 3 => value === 3

test('a listener hears each change, and not the value that was there before', () => {
  const watched = new Watched(1)
  const heard: number[] = []
  watched.subscribe((value) => heard.push(value))
  watched.set(2)
  watched.set(3)
  expect(heard).toEqual([2, 3])
  expect(watched.current).toBe(3)
})

test('setting the same value again tells nobody', () => {
  const watched = new Watched('same')
  let told = 0
  watched.subscribe(() => told++)
  watched.set('same')
  expect(told).toBe(0)
})

test('a listener that stopped hears no more, even when it stops while others are told', () => {
  const watched = new Watched(0)
  const heard: string[] = []
  const stop = watched.subscribe(() => {
    heard.push('first')
    stop()
  })
  watched.subscribe(() => heard.push('second'))
  watched.set(1)
  watched.set(2)
  expect(heard).toEqual(['first', 'second', 'second'])
})

test('until resolves at once with a value that passes now', async () => {
  await expect(until(new Watched(3), isThree, AbortSignal.abort())).resolves.toBe(3)
})

test('until waits for the first value that passes', async () => {
  const watched = new Watched(1)
  const waited = until(watched, isThree, new AbortController().signal)
  watched.set(2)
  watched.set(3)
  watched.set(4)
  await expect(waited).resolves.toBe(3)
})

test('until ends with the reason when it is aborted', async () => {
  const controller = new AbortController()
  const waited = until(new Watched(1), isThree, controller.signal)
  const reason = new Error('no longer wanted')
  controller.abort(reason)
  await expect(waited).rejects.toBe(reason)
})
