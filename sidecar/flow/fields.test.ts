import { expect, test } from 'vitest'
import { fieldValue, hasField, removeField, sameName, setField } from './fields.ts'

const sample = () => ['Host', 'catalog', 'Cookie', 'a=1', 'cookie', 'b=2', 'Accept', '*/*']

test('a field is found whatever its case, the first of several', () => {
  expect(fieldValue(sample(), 'cookie')).toBe('a=1')
  expect(hasField(sample(), 'host')).toBe(true)
  expect(fieldValue(sample(), 'cook')).toBeUndefined()
})

test('a value is never taken for a name', () => {
  expect(hasField(['x-a', 'host'], 'host')).toBe(false)
})

test('setting a field leaves one of it, in the place of the first', () => {
  const fields = sample()
  setField(fields, 'Cookie', 'c=3')
  expect(fields).toEqual(['Host', 'catalog', 'Cookie', 'c=3', 'Accept', '*/*'])
})

test('setting a field that is not there adds it at the end', () => {
  const fields = ['Host', 'catalog']
  setField(fields, 'x-weft-reason', 'NO_ROUTE')
  expect(fields).toEqual(['Host', 'catalog', 'x-weft-reason', 'NO_ROUTE'])
})

test('removing a field removes all of its name and no other', () => {
  const fields = sample()
  removeField(fields, 'cookie')
  expect(fields).toEqual(['Host', 'catalog', 'Accept', '*/*'])
})

test('names are compared without ASCII case only', () => {
  expect(sameName('CONTENT-Length', 'content-length')).toBe(true)
  expect(sameName('content-lengths', 'content-length')).toBe(false)
})
