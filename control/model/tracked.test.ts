import { expect, test } from 'vitest'
import { listed } from './listed.ts'
import { forOnce, Memo, Reading, remembered, Table } from './tracked.ts'

interface Pod {
  readonly app: string
  readonly size: number
}

/** Pods by app, and how often each sum was worked out. */
function startSums() {
  const pods = new Table<Pod, 'app'>({ app: ({ app }) => [app] })
  const worked: string[] = []
  const sums = remembered((app) => {
    worked.push(app)
    return [...pods.by('app', app)].reduce((sum, name) => sum + (pods.get(name)?.size ?? 0), 0)
  })
  return { pods, sums, takeWorked: () => worked.splice(0) }
}

test('a value is worked out once, and anew when something that it read has changed', () => {
  const { pods, sums, takeWorked } = startSums()
  pods.set('a', { app: 'web', size: 1 })
  pods.set('b', { app: 'web', size: 2 })
  expect([sums.get('web'), sums.get('web'), sums.get('other')]).toEqual([3, 3, 0])
  expect(takeWorked()).toEqual(['web', 'other'])

  pods.set('b', { app: 'web', size: 5 })
  expect([sums.get('web'), sums.get('other')]).toEqual([6, 0])
  expect(takeWorked()).toEqual(['web'])

  pods.set('b', { app: 'other', size: 5 })
  expect([sums.get('web'), sums.get('other')]).toEqual([1, 5])
  pods.set('a', undefined)
  expect([sums.get('web'), sums.get('other')]).toEqual([0, 5])
})

test('what was not there is depended on too', () => {
  const { pods, sums } = startSums()
  expect(sums.get('web')).toBe(0)
  pods.set('a', { app: 'web', size: 1 })
  expect(sums.get('web')).toBe(1)
})

test('a value of values changes with them', () => {
  const { pods, sums } = startSums()
  const total = remembered(() => pods.keys('app').reduce((sum, app) => sum + sums.get(app), 0))
  pods.set('a', { app: 'web', size: 1 })
  expect(total.get('')).toBe(1)
  pods.set('a', { app: 'web', size: 4 })
  pods.set('b', { app: 'other', size: 2 })
  expect(total.get('')).toBe(6)
})

test('a row that is set to what it is changes nothing', () => {
  const { pods, sums, takeWorked } = startSums()
  const pod = { app: 'web', size: 1 }
  pods.set('a', pod)
  sums.get('web')
  pods.set('a', pod)
  sums.get('web')
  expect(takeWorked()).toEqual(['web'])
})

test('a value that could not be worked out is tried again', () => {
  const pods = new Table<Pod>({})
  const sizes = remembered((name) => {
    const pod = pods.get(name)
    if (pod === undefined) throw new Error(`no ${name}`)
    return pod.size
  })
  expect(() => sizes.get('a')).toThrow('no a')
  pods.set('a', { app: 'web', size: 1 })
  expect(sizes.get('a')).toBe(1)
})

test('more keys than are kept make all be worked out anew, and readers are told', () => {
  const memo = new Memo<string>(2)
  const reading = new Reading()
  let worked = 0
  const get = (key: string) =>
    memo.get(key, () => {
      worked++
      return key
    })
  reading.run(() => get('a'))
  get('b')
  expect([worked, reading.isCurrent]).toEqual([2, true])
  get('c')
  expect(reading.isCurrent).toBe(false)
  get('a')
  expect(worked).toBe(4)
})

test('a reading is current until something in it changes, and one that is closed is told nothing', () => {
  const { pods, sums } = startSums()
  const [open, closed] = [new Reading(), new Reading()]
  for (const reading of [open, closed]) reading.run(() => sums.get('web'))
  closed.close()
  pods.set('x', { app: 'other', size: 1 })
  expect(open.isCurrent).toBe(true)
  pods.set('a', { app: 'web', size: 1 })
  expect([open.isCurrent, closed.isCurrent]).toEqual([false, true])
})

test('a list works out again only what has changed, and is the same while nothing has', () => {
  const { pods, sums, takeWorked } = startSums()
  const list = listed(
    () => pods.keys('app'),
    (app) => [`${app} ${sums.get(app)}`],
  )
  pods.set('a', { app: 'web', size: 1 })
  pods.set('b', { app: 'other', size: 2 })
  const before = list()
  expect(before).toEqual(['other 2', 'web 1'])
  expect(list()).toBe(before)
  takeWorked()
  pods.set('a', { app: 'web', size: 3 })
  expect(list()).toEqual(['other 2', 'web 3'])
  expect(takeWorked()).toEqual(['web'])
  pods.set('b', undefined)
  expect(list()).toEqual(['web 3'])
})

test('what is worked out for once leaves no trace', () => {
  let worked = 0
  const values = forOnce((key) => `${key}${++worked}`)
  expect([values.get('a'), values.get('a'), values.get('b')]).toEqual(['a1', 'a1', 'b2'])
})
