import { expect, test } from 'vitest'
import { readReview } from './review.ts'

const REVIEW = { apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview' }
const reviewOf = (object: unknown) => JSON.stringify({ ...REVIEW, request: { uid: 'u', operation: 'CREATE', object } })
const nested = (levels: number): unknown => JSON.parse('['.repeat(levels) + ']'.repeat(levels))

test('brackets count as depth outside of text only', () => {
  const text = `${'['.repeat(100)}"\\${'{'.repeat(100)}`
  expect(readReview(reviewOf({ text })).object).toEqual({ text })
  expect(readReview(reviewOf(nested(62))).uid).toBe('u')
  expect(() => readReview(reviewOf(nested(63)))).toThrow('want JSON of at most 64 levels')
})

// Anybody who reaches the port may send it: a search by regular expression took 23 s for this one, and four times that for twice as much.
test('a text without an end is refused as fast as any other', () => {
  const startedAt = performance.now()
  expect(() => readReview(`"${'\\"'.repeat(100_000)}`)).toThrow('want JSON')
  expect(performance.now() - startedAt).toBeLessThan(300)
})
