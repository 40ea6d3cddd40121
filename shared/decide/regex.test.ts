import { expect, test } from 'vitest'
import { cpuMsOf } from '../../test/support/cpu-time.ts'
import { regexMistake } from './regex.ts'

test.each([
  '/v[0-9]+/items/[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}',
  '(?i)(chrome|firefox)/[0-9]{1,3}(\\.[0-9]{1,5}){0,3}',
  '[]{}]{1,20}',
  '[[:alpha:]{}]{2,30}\\{[0-9]{3}\\}',
  '\\p{Greek}{1,200}',
  '(a{10}b){20}',
  '(?P<a_rather_long_name>a){500}',
  '(?:a|b){100}',
  '[a-z]{1,253}',
  'a{,5}{2}',
  '',
])('%s is taken', (pattern) => {
  expect(regexMistake(pattern)).toBeUndefined()
})

test.each([
  ['many large repeats', 'a{1000}'.repeat(146), 'a simpler regular expression (about 146000 steps, at most 2000)'],
  ['a repeat of much', `(${'b'.repeat(900)}){1000}`, 'a simpler regular expression (about 900000 steps, at most 2000)'],
  ['repeats within repeats', '((a{30}){30}){30}', 'a simpler regular expression (about 27000 steps, at most 2000)'],
  ['a little too much', '(abcd){600}', 'a simpler regular expression (3602 steps, at most 2000)'],
  [
    'a back-reference',
    '(a)\\1',
    'a regular expression in RE2 syntax (error parsing regexp: invalid escape sequence: `\\1`)',
  ],
  ['a long text', 'a'.repeat(1025), 'a regular expression of at most 1024 characters'],
])('%s is refused with what would be right, before it costs much', (_what, pattern, want) => {
  const cost = cpuMsOf(() => expect(regexMistake(pattern)).toBe(want))
  // Compiled, the first takes half a second.
  expect(cost).toBeLessThan(300)
})
