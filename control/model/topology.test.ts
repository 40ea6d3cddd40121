import { describe, expect, test } from 'vitest'
import { type Candidate, choose } from './topology.ts'

type Said = Partial<Pick<Candidate, 'node' | 'forNodes' | 'forZones'>> & { is?: 'ready' | 'ending' | 'neither' }

const endpointAt = (at: number, { is = 'ready', ...rest }: Said): Candidate => ({
  addresses: [`10.244.0.${at}`],
  pod: null,
  ready: is === 'ready',
  serving: is !== 'neither',
  terminating: is === 'ending',
  isReady: is === 'ready',
  isEnding: is === 'ending',
  ...rest,
})
const PLACE = { node: 'n1', zone: 'a' }

/** Which of the endpoints, by their place in the list. */
function chosen(said: readonly Said[], { place = PLACE as typeof PLACE | undefined, isLocalOnly = false } = {}) {
  const candidates = said.map((one, at) => endpointAt(at, one))
  return choose(candidates, place, isLocalOnly).map((one) => candidates.indexOf(one))
}

const zones = (...names: string[]): Said => ({ forZones: names })
const nodes = (...names: string[]): Said => ({ forNodes: names })

describe('conditions', () => {
  test.each<[string, Said[], number[]]>([
    ['ready ones', [{}, { is: 'ending' }, { is: 'neither' }, {}], [0, 3]],
    ['where none is ready, those that end but serve', [{ is: 'ending' }, { is: 'neither' }], [0]],
    ['never those that are neither', [{ is: 'neither' }], []],
    ['nothing of nothing', [], []],
  ])('%s', (_, said, expected) => {
    expect(chosen(said)).toEqual(expected)
  })
})

describe('hints', () => {
  test.each<[string, Said[], number[]]>([
    ['those for the zone, where all have hints', [zones('a'), zones('b'), zones('b', 'a')], [0, 2]],
    ['all, where one has no hint', [zones('a'), {}, zones('b')], [0, 1, 2]],
    ['all, where none is for the zone', [zones('b'), zones('c')], [0, 1]],
    [
      'those for the node before those for the zone',
      [
        { ...nodes('n1'), ...zones('b') },
        { ...nodes('n2'), ...zones('a') },
      ],
      [0],
    ],
    [
      'those for the zone, where none is for the node',
      [
        { ...nodes('n2'), ...zones('b') },
        { ...nodes('n3'), ...zones('a') },
      ],
      [1],
    ],
    ['those for the zone, where one has no hint for nodes', [zones('a'), { ...nodes('n1'), ...zones('b') }], [0]],
    [
      'hints of those that are not ready count for nothing',
      [{ is: 'ending' }, { ...zones('b'), is: 'neither' }, zones('a')],
      [2],
    ],
    [
      'endpoints that end are taken without regard to hints',
      [
        { ...zones('b'), is: 'ending' },
        { ...zones('a'), is: 'ending' },
      ],
      [0, 1],
    ],
  ])('%s', (_, said, expected) => {
    expect(chosen(said)).toEqual(expected)
  })

  test('all, for a caller whose zone nobody knows', () => {
    expect(chosen([zones('a'), zones('b')], { place: { node: 'n1', zone: '' } })).toEqual([0, 1])
  })
})

describe('internalTrafficPolicy: Local', () => {
  test.each<[string, Said[], number[]]>([
    [
      'those on the node alone, whatever hints say',
      [
        { node: 'n1', ...zones('b') },
        { node: 'n2', ...zones('a') },
      ],
      [0],
    ],
    ['none, where the node has none', [{ node: 'n2' }, {}], []],
    [
      'one that ends on the node rather than one that is ready elsewhere',
      [{ node: 'n1', is: 'ending' }, { node: 'n2' }],
      [0],
    ],
    ['a ready one on the node rather than one that ends there', [{ node: 'n1', is: 'ending' }, { node: 'n1' }], [1]],
  ])('%s', (_, said, expected) => {
    expect(chosen(said, { isLocalOnly: true })).toEqual(expected)
  })

  test('none, for a caller whose node nobody knows', () => {
    expect(chosen([{ node: 'n1' }, {}], { place: { node: '', zone: '' }, isLocalOnly: true })).toEqual([])
  })
})

test('who asks from no place in particular is told of all', () => {
  const said: Said[] = [
    { node: 'n1', ...zones('b') },
    { node: 'n2', ...zones('c') },
  ]
  const all = { place: undefined, isLocalOnly: true }
  const candidates = said.map((one, at) => endpointAt(at, one))
  expect(choose(candidates, all.place, all.isLocalOnly)).toEqual(candidates)
})
