import { expect, test } from 'vitest'
import type { KubeObject } from '#shared/kube/objects.ts'
import type { WantedCondition, WantedStatus } from './conditions.ts'
import { statusPatch } from './merge.ts'

const BEFORE = '2020-01-01T00:00:00Z'
const NOW = '2026-01-31T12:00:00Z'
const refOf = (name: string) => ({ group: '', kind: 'Service', name })
const conditionOf = (type: WantedCondition['type'], change: Partial<WantedCondition> = {}): WantedCondition => ({
  type,
  status: 'True',
  reason: type,
  message: '',
  observedGeneration: 3,
  ...change,
})
const ACCEPTED = conditionOf('Accepted')
const PROGRAMMED = conditionOf('Programmed')

function routeWith(...names: readonly string[]): WantedStatus {
  const entries = names.map((name) => ({ ref: refOf(name), conditions: [ACCEPTED, PROGRAMMED] }))
  return { object: { kind: 'HTTPRoute', namespace: 'shop', name: 'split' }, generation: 3, entries, missing: [] }
}
const own = (name: string, conditions: readonly object[]) => ({
  parentRef: refOf(name),
  controllerName: 'weft.dev/controller',
  conditions,
})
const foreign = (name: string) => ({ controllerName: 'example.com/gateway', parentRef: { name }, conditions: [] })

interface Entry {
  readonly conditions: readonly object[]
}
function parentsAfter(parents: readonly object[], wanted: WantedStatus): readonly Entry[] | undefined {
  const object: KubeObject = { metadata: { resourceVersion: '7' }, status: { parents } }
  const patch = statusPatch(object, wanted, { now: NOW, isCountKept: false })
  return (patch as { status: { parents: readonly Entry[] } } | undefined)?.status.parents
}

test('entries of other controllers stay, and the version that was read goes along', () => {
  const object: KubeObject = { metadata: { resourceVersion: '7' }, status: { parents: [foreign('edge')] } }
  const patch = statusPatch(object, routeWith('catalog'), { now: NOW, isCountKept: false })
  expect(patch).toMatchObject({ metadata: { resourceVersion: '7' }, status: { parents: [foreign('edge'), {}] } })
})

test('entries of parents that the route no longer has are removed', () => {
  const parents = [own('gone', [ACCEPTED]), own('catalog', [ACCEPTED]), foreign('edge')]
  expect(parentsAfter(parents, routeWith('catalog'))).toMatchObject([foreign('edge'), { parentRef: refOf('catalog') }])
  expect(parentsAfter(parents, routeWith())).toEqual([foreign('edge')])
})

test('a condition has the time of the last change of its status, not of its words', () => {
  const before = [
    { ...ACCEPTED, reason: 'Other', message: 'x', lastTransitionTime: BEFORE },
    { ...PROGRAMMED, status: 'False', lastTransitionTime: BEFORE },
  ]
  const [entry] = parentsAfter([own('catalog', before)], routeWith('catalog')) ?? []
  expect(entry?.conditions).toEqual([
    { ...ACCEPTED, lastTransitionTime: BEFORE },
    { ...PROGRAMMED, lastTransitionTime: NOW },
  ])
})

test('nothing is written when nothing differs, whatever the order of fields', () => {
  const written = [ACCEPTED, PROGRAMMED].map((one) => ({ lastTransitionTime: BEFORE, ...one }))
  expect(parentsAfter([foreign('edge'), own('catalog', written)], routeWith('catalog'))).toBeUndefined()
})

test('a condition that others have put into an entry of control stays where it is', () => {
  const checked = { ...ACCEPTED, type: 'example.com/Checked', lastTransitionTime: BEFORE }
  const before = [checked, { ...PROGRAMMED, lastTransitionTime: BEFORE }]
  const [entry] = parentsAfter([own('catalog', before)], routeWith('catalog')) ?? []
  expect(entry?.conditions).toMatchObject([checked, { type: 'Programmed' }, { type: 'Accepted' }])
})

test('a condition of control that no longer applies is removed', () => {
  const before = [conditionOf('ResolvedRefs'), ACCEPTED, PROGRAMMED]
  const [entry] = parentsAfter([own('catalog', before)], routeWith('catalog')) ?? []
  expect(entry?.conditions).toMatchObject([{ type: 'Accepted' }, { type: 'Programmed' }])
})

test.each([
  [30, 2],
  [31, 1],
  [32, 0],
])('a list with %i entries of others gets %i more, as its CRD allows 32', (count, more) => {
  const others = Array.from({ length: count }, (_, at) => foreign(`edge-${at}`))
  const parents = parentsAfter(others, routeWith('catalog', 'cart')) ?? others
  expect(parents.slice(0, count)).toEqual(others)
  expect(parents).toHaveLength(count + more)
})

test('a policy gets at most the 16 entries that its CRD allows', () => {
  const entries = Array.from({ length: 16 }, (_, at) => ({ ref: refOf(`s-${at}`), conditions: [ACCEPTED] }))
  const object = { kind: 'TrafficPolicy', namespace: 'shop', name: 'quick' }
  const wanted: WantedStatus = { object, generation: 3, entries, missing: [], applied: '1 of 1', lagging: [] }
  const others = [{ ancestorRef: refOf('x'), controllerName: 'example.com/other', conditions: [] }]
  const before: KubeObject = { metadata: { resourceVersion: '7' }, status: { ancestors: others } }
  const patch = statusPatch(before, wanted, { now: NOW, isCountKept: false }) as { status: { ancestors: object[] } }
  expect(patch.status.ancestors).toHaveLength(16)
  expect(patch.status.ancestors[0]).toEqual(others[0])
})
