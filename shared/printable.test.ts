import { expect, test } from 'vitest'
import { printable } from './printable.ts'

test('what a terminal would obey, hide or reorder is shown as it is written', () => {
  expect(printable('a\u{1b}[2J\r\n\u{9b}1m\u{202e}b\u{200b}c\u{2028}')).toBe(
    'a\\u{1b}[2J\\u{d}\\u{a}\\u{9b}1m\\u{202e}b\\u{200b}c\\u{2028}',
  )
})

test('all other text stays', () => {
  const text = 'path "/a(\\1": want 漢字, é, 🦊 and `code`'
  expect(printable(text)).toBe(text)
})
