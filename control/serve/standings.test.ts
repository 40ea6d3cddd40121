import { expect, test } from 'vitest'
import { sidecarStateOf, standingsOf } from './standings.ts'
import type { SubscriptionStatus } from './subscription.ts'

const held = (name: string, change: Partial<SubscriptionStatus> = {}): SubscriptionStatus => ({
  type: 'DESTINATION',
  name,
  current: 'b',
  applied: 'b',
  refused: null,
  objects: [`HTTPRoute shop/${name}`],
  ...change,
})
const stateOf = (pod: string, ...list: readonly SubscriptionStatus[]) =>
  sidecarStateOf({ pod, openedAtMs: 1, subscriptions: () => list })

test('an object is in force in a sidecar when every resource that it shaped is', () => {
  const split = { objects: ['HTTPRoute shop/split'] }
  const good = stateOf('shop/web-0', held('one', split), held('two', split))
  const late = stateOf('shop/web-1', held('one', split), held('two', { ...split, applied: 'a' }))
  expect(standingsOf([good, late])).toEqual([
    { object: 'HTTPRoute shop/split', applied: 1, of: 2, lagging: ['shop/web-1'], refused: [] },
  ])
})

test('a refusal is told even when another resource of the object is only late', () => {
  const split = { objects: ['HTTPRoute shop/split'], applied: 'a' }
  const refused = { version: 'b', error: 'no such algorithm' }
  const state = stateOf('shop/web-0', held('one', split), held('two', { ...split, refused }), held('three', split))
  expect(standingsOf([state])[0]?.refused).toEqual([{ pod: 'shop/web-0', error: 'no such algorithm' }])
})

test('a state stays the same object while nothing of it changes', () => {
  const source = { pod: 'shop/web-0', openedAtMs: 1, subscriptions: () => [held('one')] }
  const before = sidecarStateOf(source)
  expect(sidecarStateOf(source, before)).toBe(before)
  const after = sidecarStateOf({ ...source, subscriptions: () => [held('one', { applied: 'a' })] }, before)
  expect(after).not.toBe(before)
})

test('a sidecar that refuses everything at length cannot make a report too large', () => {
  const refused = { version: 'b', error: 'x'.repeat(500) }
  const long = 'y'.repeat(240)
  const list = Array.from({ length: 4096 }, (_, at) => held(`${long}-${at}`, { applied: 'a', refused }))
  const state = stateOf('shop/web-0', ...list)
  expect(JSON.stringify(state).length).toBeLessThan(768 * 1024)
  expect(state.late).toHaveLength(state.objects.length)
  expect(state.late.filter(({ error }) => error !== '')).toHaveLength(50)
})
