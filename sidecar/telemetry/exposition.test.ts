import { expect, test } from 'vitest'
import { parseExposition } from './exposition.fixture.ts'

const HEAD = '# HELP a_total x\n# TYPE a_total counter\n'

// The strict reader guards all other tests of the page, so it must itself refuse what is wrong.
test.each([
  ['no line feed at the end', `${HEAD}a_total 1`],
  ['no TYPE', 'a_total 1\n'],
  ['a sample of another family', `${HEAD}b_total 1\n`],
  ['an unescaped quote', `${HEAD}a_total{l="x"y"} 1\n`],
  ['an unknown escape', `${HEAD}a_total{l="\\t"} 1\n`],
  ['the same label twice', `${HEAD}a_total{l="1",l="2"} 1\n`],
  ['the same series twice', `${HEAD}a_total{l="1"} 1\na_total{l="1"} 2\n`],
  ['no value', `${HEAD}a_total\n`],
  ['a negative counter', `${HEAD}a_total -1\n`],
  ['HELP again', `${HEAD}a_total 1\n${HEAD}`],
  [
    'a falling histogram',
    '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 2\nh_bucket{le="+Inf"} 1\nh_sum 1\nh_count 1\n',
  ],
  ['a histogram without +Inf', '# HELP h x\n# TYPE h histogram\nh_bucket{le="1"} 1\nh_sum 1\nh_count 1\n'],
])('the strict reader refuses %s', (_name, text) => {
  expect(() => parseExposition(text)).toThrow()
})
