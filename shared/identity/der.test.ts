import { expect, test } from 'vitest'
import { encodeElement, readChildren, readElement, readOnly } from './der.ts'

test.each([0, 1, 127, 128, 255, 256, 65_535, 65_536])('an element of %i bytes is read as it was written', (length) => {
  const content = Buffer.alloc(length, 7)
  const written = encodeElement(0x04, content)
  const read = readElement(written)
  expect(read.tag).toBe(0x04)
  expect(read.content.equals(content)).toBe(true)
  expect(read.raw.length).toBe(written.length)
})

test('children are read in order', () => {
  const bytes = Buffer.concat([encodeElement(2, Buffer.of(1)), encodeElement(5), encodeElement(4, Buffer.of(9, 9))])
  expect(readChildren(bytes).map((child) => child.tag)).toEqual([2, 5, 4])
})

test.each([
  ['nothing', '', 'ends in the middle'],
  ['a tag alone', '30', 'ends in the middle'],
  ['an indefinite length', '30800000', 'indefinite'],
  ['a length in four bytes', '308400000001ff', 'too large'],
  ['a long form that was not needed', '308101ff', 'not minimal'],
  ['a length with a leading zero', `30820080${'00'.repeat(128)}`, 'not minimal'],
  ['a length cut short', '3082ff', 'middle of a length'],
  ['more than is there', '3002ff', 'longer than what holds it'],
  ['a tag of two bytes', '1f810100', 'more than one byte'],
])('%s is refused', (_what, hex, reason) => {
  expect(() => readElement(Buffer.from(hex, 'hex'))).toThrow(reason)
})

test('one element must fill all bytes where only one is wanted', () => {
  expect(() => readOnly(Buffer.from('05000500', 'hex'), 5, 'NULL')).toThrow('bytes follow the NULL')
  expect(() => readOnly(Buffer.from('0500', 'hex'), 4, 'text')).toThrow('text has the DER tag 5, want 4')
})
