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
