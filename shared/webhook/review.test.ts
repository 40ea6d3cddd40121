import { expect, test } from 'vitest'
import { cpuMsOf } from '../../test/support/cpu-time.ts'
import { formatReview, readReview } from './review.ts'

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
  const cost = cpuMsOf(() => expect(() => readReview(`"${'\\"'.repeat(100_000)}`)).toThrow('want JSON'))
  expect(cost).toBeLessThan(300)
})

test('an answer holds nothing that a terminal obeys, and an API server drops', () => {
  const hostile = 'a\u{1b}[2J\u{202e}\nb'
  const { response } = JSON.parse(
    formatReview('u', { warnings: [hostile], denial: { code: 422, message: hostile } }),
  ) as { readonly response: { readonly warnings: readonly string[]; readonly status: object } }
  expect(response.warnings).toEqual(['weft: a\\u{1b}[2J\\u{202e}\\u{a}b'])
  expect(response.status).toEqual({ code: 422, message: 'a\\u{1b}[2J\\u{202e}\\u{a}b' })
})
