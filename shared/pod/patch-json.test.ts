import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyPatch } from './patch.fixture.ts'
import { differences } from './patch-json.ts'

test('whatever two documents hold, the patch applied to one gives the other', () => {
  const named = fc.array(fc.record({ name: fc.constantFrom('a', 'b', 'c', 'd'), value: fc.nat(3) }), { maxLength: 5 })
  const key = fc.constantFrom('a', 'b/c', 'd~e', 'f')
  const document = fc.dictionary(key, fc.oneof(fc.jsonValue({ maxDepth: 3 }), named))

  fc.assert(
    fc.property(document, document, (from, to) => {
      expect(applyPatch(from, differences(from, to))).toEqual(JSON.parse(JSON.stringify(to)))
    }),
    { numRuns: 500 },
  )
})

test('a container in front is one addition, not a new list', () => {
  const from = { list: [{ name: 'application', image: 'x' }] }
  const to = { list: [{ name: 'sidecar' }, { name: 'application', image: 'y' }] }

  expect(differences(from, to)).toEqual([
    { op: 'add', path: '/list/0', value: { name: 'sidecar' } },
    { op: 'replace', path: '/list/1/image', value: 'y' },
  ])
})

test('what is undefined is not there', () => {
  expect(differences({ a: undefined, b: 1 }, { b: undefined, c: undefined })).toEqual([{ op: 'remove', path: '/b' }])
})
