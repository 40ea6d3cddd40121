// The engine, with both halves held by hand.
import { beforeEach, describe, expect, test } from 'vitest'
import { FlowError } from '#flow/error.ts'
import type { Step } from '#flow/exchange.ts'
import { Bench } from './exchange-bench.ts'

/** Retries whatever fails and every 503, so that the engine's side of a retry is seen. */
const retryAll: Step = {
  name: 'retry-all',
  onResponse: (exchange) => (exchange.attempts.at(-1)?.status === 503 && exchange.isReplayable ? 'retry' : 'continue'),
  onAttemptFailed: (exchange) => (exchange.isReplayable ? 'retry' : 'continue'),
}

let bench: Bench
beforeEach(() => {
  bench = new Bench()
})

describe('a plain exchange', () => {
  test('request and answer pass with bodies and trailers, and it ends once', () => {
    bench.request('POST', false)
    bench.body('hel')
    bench.body('lo', true)
    bench.answer('200', false)
    bench.upstream.events.onData(Buffer.from('world'), 0, 5, false)
    bench.upstream.events.onTrailers(['x-sum', '1'])

    expect(bench.upstream.said.slice(1)).toEqual(['data hel', 'data lo end'])
    expect(bench.downstream.said).toEqual(['head :status 200', 'data world', 'trailers x-sum 1'])
    expect(bench.ended).toHaveLength(1)
    expect(bench.ended[0]).toMatchObject({ status: 200, attempts: 1, requestBytes: 5, responseBytes: 5, reason: null })
    expect(bench.outcomes).toMatchObject([{ ok: true, status: 200 }])
  })

  test('a request that names no host gets the address that was dialled', () => {
    bench.downstream.events.onHead([':method', 'GET', ':scheme', 'http', ':authority', '', ':path', '/'], true)

    expect(bench.upstream.said[0]).toContain(':authority 10.0.0.9:80')
  })

  test('1xx heads pass before the final one', () => {
    bench.request('GET', true)
    bench.answer('103', false, 'link', '</a>')
    bench.answer('200', true)

    expect(bench.downstream.said).toEqual(['head :status 103 link </a>', 'head :status 200 end'])
  })

  test('a slow taker on either side pauses the other', () => {
    bench.request('POST', false)
    bench.upstream.goOn = false
    bench.body('x')
    expect(bench.downstream.isPaused).toBe(true)
    bench.upstream.events.onDrain()
    expect(bench.downstream.isPaused).toBe(false)

    bench.answer('200', false)
    bench.downstream.goOn = false
    bench.upstream.events.onData(Buffer.from('y'), 0, 1, false)
    expect(bench.upstream.isPaused).toBe(true)
    bench.downstream.events.onDrain()
    expect(bench.upstream.isPaused).toBe(false)
  })

  test('a body that arrives before the connection is kept and sent in order', () => {
    bench.connectsAtOnce = false
    bench.request('POST', false)
    bench.body('one ')
    expect(bench.downstream.isPaused).toBe(true)
    bench.body('two', true)
    bench.connect()

    expect(bench.upstream.said.slice(1)).toEqual(['data one two end'])
  })

  test('an answer that is over before the request does not end the request early', () => {
    bench.request('POST', false)
    bench.answer('200', true)
    expect(bench.ended).toHaveLength(0)
    bench.body('rest', true)

    expect(bench.upstream.said.at(-1)).toBe('data rest end')
    expect(bench.ended).toHaveLength(1)
  })

  test('what may not travel in a head does not travel as a trailer', () => {
    bench.request('POST', false)
    bench.downstream.events.onTrailers(['X-Forwarded-Client-Cert', 'By=me', 'x-sum', '1'])

    expect(bench.upstream.said.at(-1)).toBe('trailers x-sum 1')
  })

  test('an endpoint that answers and leaves before the request is over leaves nobody paused', () => {
    bench.request('POST', false)
    bench.upstream.goOn = false
    bench.body('much')
    expect(bench.downstream.isPaused).toBe(true)
    bench.answer('413', true)
    bench.upstream.events.onReset('closed')

    expect(bench.downstream.isPaused).toBe(false)
    expect(bench.ended).toMatchObject([{ status: 413, reason: null }])
  })
})

describe('upgrades', () => {
  const ask = ['Connection', 'Upgrade', 'Upgrade', 'websocket']

  test('after 101 bytes pass both ways until both have ended', () => {
    bench.request('GET', true, ...ask)
    bench.answer('101', false, ...ask)
    bench.body('ping')
    bench.upstream.events.onData(Buffer.from('pong'), 0, 4, true)
    expect(bench.ended).toHaveLength(0)
    bench.body('', true)

    expect(bench.upstream.said.slice(1)).toEqual(['data ping', 'data  end'])
    expect(bench.downstream.said.slice(1)).toEqual(['data pong end'])
    expect(bench.ended).toMatchObject([{ status: 101 }])
  })

  test('a 101 that nobody asked for is a fault of the endpoint', () => {
    bench.request('GET', true)
    bench.answer('101', false)

    expect(bench.ended).toMatchObject([{ reason: 'UPSTREAM_PROTOCOL' }])
    expect(bench.downstream.said[0]).toContain('x-weft-reason UPSTREAM_PROTOCOL')
  })
})

describe('failures', () => {
  test('a refusal of the decision is answered with its reason and no try is made', () => {
    bench = new Bench([], 0, { kind: 'refuse', code: 'NO_ROUTE', rule: null })
    bench.request('GET', true)

    expect(bench.downstream.said).toEqual(['head :status 503 x-weft-reason NO_ROUTE', 'data NO_ROUTE end'])
    expect(bench.ended).toMatchObject([{ reason: 'NO_ROUTE', attempts: 0 }])
  })

  test('the answer to HEAD has no body', () => {
    bench = new Bench([], 0, { kind: 'refuse', code: 'NO_ROUTE', rule: null })
    bench.request('HEAD', true)

    expect(bench.downstream.said).toEqual(['head :status 503 x-weft-reason NO_ROUTE end'])
  })

  test('a client that leaves ends the try and is nobody else’s fault', () => {
    bench.request('GET', true)
    bench.downstream.events.onReset('closed')

    expect(bench.upstream.said.at(-1)).toBe('reset cancel')
    expect(bench.outcomes).toMatchObject([{ fault: null, status: 0 }])
    expect(bench.ended).toMatchObject([{ status: 0, reason: null }])
  })

  test('an endpoint that dies in the middle of its answer resets the client', () => {
    bench.request('GET', true)
    bench.answer('200', false)
    bench.upstream.events.onReset('closed')

    expect(bench.downstream.said.at(-1)).toBe('reset closed')
    expect(bench.ended).toMatchObject([{ status: 200, reason: 'UPSTREAM_CLOSED' }])
  })

  test('what an abandoned try still says changes nothing', () => {
    bench.request('GET', true)
    bench.exchange.fail('REQUEST_TIMEOUT')
    bench.answer('200', true)
    bench.upstream.events.onReset('closed')

    expect(bench.downstream.said).toEqual([
      'head :status 503 x-weft-reason REQUEST_TIMEOUT',
      'data REQUEST_TIMEOUT end',
    ])
    expect(bench.ended).toHaveLength(1)
    expect(bench.outcomes).toHaveLength(1)
  })
})

describe('retries', () => {
  test('a further try sends the head and the whole body again, to another endpoint', () => {
    bench = new Bench([retryAll], 1)
    bench.request('PUT', false)
    bench.body('body', true)
    bench.answer('503', true)
    bench.answer('200', true)

    expect(bench.upstreams).toHaveLength(2)
    expect(bench.upstreams[1]?.said).toEqual(bench.upstreams[0]?.said.filter((line) => !line.startsWith('reset')))
    expect(bench.downstream.said).toEqual(['head :status 200 end'])
    expect(bench.ended).toMatchObject([{ attempts: 2, status: 200, endpoint: { host: '10.0.0.2' } }])
  })

  test('a failed connect is tried again whatever the method, as nothing has left', () => {
    bench = new Bench([retryAll], 1)
    bench.connectsAtOnce = false
    bench.request('POST', false)
    bench.body('pay', true)
    bench.waiting.shift()?.(new FlowError('CONNECT_FAILED'), null, false)
    bench.connect()
    bench.answer('200', true)

    expect(bench.upstream.said.at(-1)).toBe('data pay end')
    expect(bench.outcomes).toMatchObject([{ fault: 'CONNECT_FAILED' }, { ok: true }])
  })

  test('without retries in the policy a body is not kept once it has left', () => {
    bench = new Bench([retryAll], 0)
    bench.request('POST', false)
    bench.body('pay', true)
    bench.upstream.events.onReset('closed')

    expect(bench.upstreams).toHaveLength(1)
    expect(bench.ended).toMatchObject([{ reason: 'UPSTREAM_CLOSED', attempts: 1 }])
  })

  test('a body beyond the limit ends the chance of a retry but still goes through', () => {
    bench = new Bench([retryAll], 1)
    bench.request('PUT', false)
    bench.body('x'.repeat(70_000))
    bench.body('y', true)
    bench.answer('503', true)

    expect(bench.upstreams).toHaveLength(1)
    expect(bench.downstream.said).toEqual(['head :status 503 end'])
  })

  test('a backoff waits by the clock and is dropped when the client leaves', () => {
    const delayed: Step = {
      name: 'delayed',
      onAttemptFailed: (exchange) => {
        exchange.retryDelayMs = 50
        return 'retry'
      },
    }
    bench = new Bench([delayed], 2)
    bench.request('GET', true)
    bench.upstream.events.onReset('closed')
    bench.clock.advance(49)
    expect(bench.upstreams).toHaveLength(1)
    bench.clock.advance(1)
    expect(bench.upstreams).toHaveLength(2)

    bench.upstream.events.onReset('closed')
    bench.downstream.events.onReset('closed')
    bench.clock.advance(1000)
    expect(bench.upstreams).toHaveLength(2)
  })
})

describe('steps', () => {
  test('a step that waits goes on with proceed, and a stale generation does nothing', () => {
    let waitFor = 0
    const slow: Step = {
      name: 'slow',
      onRequest: (exchange) => {
        waitFor = exchange.generation
        return 'wait'
      },
    }
    bench = new Bench([slow])
    bench.request('GET', true)
    expect(bench.upstreams).toHaveLength(0)
    bench.exchange.proceed(waitFor + 1)
    expect(bench.upstreams).toHaveLength(0)
    bench.exchange.proceed(waitFor)
    expect(bench.upstreams).toHaveLength(1)
  })

  test('onEnd runs once for each step that began, and for no other', () => {
    const ends: string[] = []
    const step = (name: string, verdict: 'continue' | 'answered'): Step => ({
      name,
      onRequest: (exchange) => {
        if (verdict === 'answered') exchange.fail('BREAKER_OPEN')
        return verdict
      },
      onEnd: () => ends.push(name),
    })
    bench = new Bench([step('a', 'continue'), step('b', 'answered'), step('c', 'continue')])
    bench.request('GET', true)

    expect(ends).toEqual(['a', 'b'])
  })
})

test('a request that goes on behind its answer is discarded on HTTP/1.1, and told to stop on HTTP/2', () => {
  for (const [version, told] of [
    ['1.1', []],
    ['2', ['reset cancel']],
  ] as const) {
    const bench = new Bench()
    Object.assign(bench.downstream, { version })
    bench.request('POST', false)
    bench.exchange.fail('REQUEST_TIMEOUT')

    expect(bench.downstream.said.filter((word) => word.startsWith('reset'))).toEqual(told)
  }
})
