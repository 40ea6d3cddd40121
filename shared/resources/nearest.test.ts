import { expect, test } from 'vitest'
import { nearest } from './nearest.ts'

const KNOWN = ['retries', 'timeouts', 'matches', 'readinessProbe', 'port', 'path']

test.each([
  ['retry', 'retries'],
  ['timeout', 'timeouts'],
  ['matchs', 'matches'],
  ['mathces', 'matches'],
  ['readynessProbe', 'readinessProbe'],
  ['readiness', 'readinessProbe'],
  ['PORT', 'port'],
  ['prot', 'port'],
  ['x', undefined],
  ['filters', undefined],
  ['', undefined],
  ['p'.repeat(10_000), undefined],
])('%s most likely means %s', (word, meant) => {
  expect(nearest(word, KNOWN)).toBe(meant)
})
