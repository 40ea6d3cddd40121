// What CI counts: the line that it ends with must not be green for anything that was not seen to work.
import { expect, test } from 'vitest'
import { countSuite } from '../../scripts/ci.ts'

const results = (...statuses: string[]) => ({
  testResults: [
    {
      name: 'a.test.ts',
      status: statuses.includes('failed') ? 'failed' : 'passed',
      message: '',
      assertionResults: statuses.map((status) => ({ fullName: status, status, failureMessages: [] })),
    },
  ],
})

test('a suite whose tests all passed is counted as passed', () => {
  expect(countSuite('unit', results('passed', 'passed'), 0)).toEqual({ passed: 2, failures: [] })
})

test.each(['failed', 'skipped', 'pending', 'todo'])('a test that is %s counts as failed', (status) => {
  expect(countSuite('unit', results('passed', status), 0).failures).toHaveLength(1)
})

test.each([
  ['ran no test', { testResults: [] }, 0],
  ['wrote no results', undefined, 1],
  ['failed outside of a test', results('passed'), 1],
  [
    'has a file that did not load',
    { testResults: [{ name: 'a', status: 'failed', message: 'x', assertionResults: [] }] },
    1,
  ],
])('a suite that %s counts as failed', (_, given, exitCode) => {
  expect(countSuite('unit', given, exitCode).failures).toHaveLength(1)
})

test('what a suite printed is told where its results say nothing of its failure', () => {
  const said = (given: Parameters<typeof countSuite>[1], exitCode: number) =>
    countSuite('unit', given, exitCode, 'Error: no node').failures.join()
  expect(said(undefined, 1)).toBe('unit: ran no test\nError: no node')
  expect(said(results('passed'), 1)).toBe('unit: ended with 1\nError: no node')
  expect(said(results('passed', 'failed'), 1)).not.toContain('no node')
})

test('a hook that failed is told before the tests that were skipped by it', () => {
  const [file] = results('skipped').testResults
  const given = { testResults: [{ ...file, status: 'failed', message: 'the mesh did not come up' }] }
  expect(countSuite('e2e', given as Parameters<typeof countSuite>[1], 1).failures).toEqual([
    'e2e: a.test.ts: the mesh did not come up',
    'e2e: a.test.ts: skipped (skipped)\n',
  ])
})
