// Which resets go on through an exchange, in what words, and what a call of gRPC is told of them. Both halves held by hand.
import { describe, expect, test } from 'vitest'
import type { ResetCode } from '#flow/stream.ts'
import { Bench } from './exchange-bench.ts'

const between = (contentType: string) => {
  const bench = new Bench([], 0, null, { downstream: '2', upstream: '2' })
  bench.request('POST', false, 'content-type', contentType)
  return bench
}
const plain = () => between('text/plain')
const call = () => between('application/grpc')

describe('a reset by the endpoint in the middle of its answer', () => {
  test.each<[ResetCode, ResetCode]>([
    ['cancel', 'cancel'],
    ['failed', 'failed'],
    ['malformed', 'malformed'],
    ['calm', 'calm'],
    ['insecure', 'insecure'],
    ['http1', 'http1'],
    // A cut answer is not whole, and a request that was answered is not to be repeated.
    ['done', 'closed'],
    ['refused', 'closed'],
    // What we found ourselves keeps its own word.
    ['closed', 'closed'],
    ['protocol', 'closed'],
    ['timeout', 'closed'],
  ])('heard as %s is told as %s', (heard, told) => {
    const bench = plain()
    bench.answer('200', false)
    bench.upstream.events.onReset(heard)

    expect(bench.downstream.said.slice(1)).toEqual([`reset ${told}`])
    expect(bench.ended).toMatchObject([{ status: 200, grpcStatus: null }])
  })

  test('is in the access log by its name', () => {
    const bench = plain()
    bench.answer('200', false)
    bench.upstream.events.onReset('calm')

    const detail = 'the endpoint reset the stream: ENHANCE_YOUR_CALM'
    expect(bench.ended).toMatchObject([{ reason: 'UPSTREAM_CLOSED', detail }])
  })
})

describe('a reset by the client', () => {
  test.each<[ResetCode, ResetCode]>([
    ['cancel', 'cancel'],
    ['failed', 'failed'],
    ['malformed', 'malformed'],
    ['calm', 'calm'],
    ['http1', 'http1'],
    ['done', 'cancel'],
    ['closed', 'cancel'],
    ['protocol', 'cancel'],
    ['timeout', 'cancel'],
  ])('heard as %s is told to the endpoint as %s', (heard, told) => {
    const bench = plain()
    bench.downstream.events.onReset(heard)

    expect(bench.upstream.said.at(-1)).toBe(`reset ${told}`)
    expect(bench.ended).toMatchObject([{ status: 0, reason: null }])
  })
})

describe('an answer that is whole', () => {
  test.each<ResetCode>(['done', 'cancel', 'failed'])(
    'stays so when the endpoint stops the rest of the request with %s',
    (code) => {
      const bench = plain()
      bench.answer('413', true)
      bench.upstream.events.onReset(code)

      expect(bench.downstream.said[0]).toBe('head :status 413 end')
      expect(bench.ended).toMatchObject([{ status: 413, reason: null, detail: null }])
      expect(bench.outcomes).toMatchObject([{ ok: true, fault: null }])
    },
  )
})

describe('a call of gRPC', () => {
  test.each<[ResetCode, number]>([
    ['cancel', 1],
    ['insecure', 7],
    ['calm', 8],
    ['done', 13],
    ['malformed', 13],
    ['failed', 13],
    ['http1', 13],
    ['closed', 13],
  ])('that ends by %s in the middle of its answer has the status %i', (code, grpcStatus) => {
    const bench = call()
    bench.answer('200', false)
    bench.upstream.events.onReset(code)

    expect(bench.ended).toMatchObject([{ status: 200, grpcStatus }])
  })

  test.each<[ResetCode, number]>([
    ['insecure', 7],
    ['calm', 8],
    ['failed', 13],
    // Nobody said anything: the endpoint is gone.
    ['closed', 14],
  ])('that ends by %s before an answer is told the status %i, with our reason', (code, grpcStatus) => {
    const bench = call()
    bench.upstream.events.onReset(code)

    expect(bench.downstream.said[0]).toBe(`head :status 200 grpc-status ${grpcStatus} end`)
    expect(bench.ended).toMatchObject([{ status: 200, grpcStatus, reason: 'UPSTREAM_CLOSED' }])
  })

  test.each([false, true])('that its server cancels is cancelled, not failed (answer begun: %s)', (isBegun) => {
    const bench = call()
    if (isBegun) bench.answer('200', false)
    bench.upstream.events.onReset('cancel')

    expect(bench.downstream.said.at(-1)).toBe('reset cancel')
    expect(bench.ended).toMatchObject([{ grpcStatus: 1, reason: null }])
    expect(bench.outcomes).toMatchObject([{ fault: null }])
  })

  test('that its client gives up is cancelled', () => {
    const bench = call()
    bench.answer('200', false)
    bench.downstream.events.onReset('cancel')

    expect(bench.ended).toMatchObject([{ grpcStatus: 1, reason: null }])
  })

  test('that is over keeps the status of its trailers when its client sends no more', () => {
    const bench = call()
    bench.answer('200', false)
    bench.upstream.events.onTrailers(['grpc-status', '0'])
    bench.downstream.events.onReset('cancel')

    expect(bench.ended).toMatchObject([{ grpcStatus: 0 }])
  })
})
