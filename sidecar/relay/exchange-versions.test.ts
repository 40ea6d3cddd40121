// The engine between the two versions of HTTP, with both halves held by hand.
import { describe, expect, test } from 'vitest'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import { Bench } from './exchange-bench.ts'

const identity = parseSpiffeId('spiffe://weft.test/ns/shop/sa/catalog')
const between = (given: ConstructorParameters<typeof Bench>[3]) => new Bench([], 0, null, given)
const fieldsOf = (said: string | undefined) => said?.split(' ').slice(1) ?? []

describe('towards another sidecar', () => {
  test('a request of HTTP/1.1 tells its version and the case of its names, an answer gets its own back', () => {
    const bench = between({ upstream: '2', identity })
    bench.request('GET', true, 'X-Id', '7')
    bench.answer('200', true, 'x-weft-original', '1.1 X-App', 'x-app', 'yes')

    expect(bench.wanted).toEqual(['http1'])
    expect(bench.upstream.said[0]).toContain('X-Id 7 x-weft-original 1.1 X-Id end')
    expect(bench.ended).toMatchObject([{ version: '1.1', status: 200 }])
  })

  test('the case of an answer is restored and what carried it goes no further', () => {
    const bench = between({ upstream: '2', identity })
    bench.request('GET', true)
    bench.answer('200', true, 'x-app', 'yes', 'x-weft-original', '1.1 X-App')

    expect(bench.downstream.said).toEqual(['head :status 200 X-App yes end'])
  })

  test('a request of HTTP/2 tells nothing', () => {
    const bench = between({ downstream: '2', upstream: '2', identity })
    bench.request('GET', true, 'x-id', '7')

    expect(bench.wanted).toEqual(['http2'])
    expect(bench.upstream.said[0]).not.toContain('x-weft-original')
  })

  test('an upgrade asks for a connection of its own', () => {
    const bench = between({ identity })
    bench.request('GET', true, 'Connection', 'Upgrade', 'Upgrade', 'websocket')

    expect(bench.wanted).toEqual(['upgrade'])
  })

  test.each(['x-weft-original', 'X-Weft-Original'])(
    'what an application says as %s is no word of a sidecar',
    (name) => {
      const bench = between({})
      bench.request('GET', true, name, '1.0')
      bench.answer('200', true, name, '1.1 Set-Cookie')

      expect(bench.upstream.said[0]).not.toMatch(/x-weft-original/i)
      expect(bench.downstream.said).toEqual(['head :status 200 end'])
    },
  )
})

describe('from another sidecar', () => {
  test('the version and the names are those of the caller, and the answer tells its own names', () => {
    const bench = between({ downstream: '2', isPeer: true })
    bench.request('GET', true, 'x-id', '7', 'x-weft-original', '1.1 X-Id')
    bench.answer('200', true, 'X-App', 'yes')

    expect(bench.wanted).toEqual(['http1'])
    expect(fieldsOf(bench.upstream.said[0]).slice(-3)).toEqual(['X-Id', '7', 'end'])
    expect(bench.downstream.said).toEqual(['head :status 200 X-App yes x-weft-original 1.1 X-App end'])
    expect(bench.ended).toMatchObject([{ version: '1.1' }])
  })

  test('a client of HTTP/1.0 at its other end gets no 1xx', () => {
    const bench = between({ downstream: '2', isPeer: true })
    bench.request('GET', true, 'x-weft-original', '1.0')
    bench.answer('103', false)
    bench.answer('200', true)

    expect(bench.downstream.said).toEqual(['head :status 200 end'])
    expect(bench.ended).toMatchObject([{ version: '1.0' }])
  })

  test('a request of HTTP/2 stays one, and its answer tells no names', () => {
    const bench = between({ downstream: '2', isPeer: true })
    bench.request('GET', true)
    bench.answer('200', true, 'X-App', 'yes')

    expect(bench.wanted).toEqual(['http2'])
    expect(bench.downstream.said).toEqual(['head :status 200 X-App yes end'])
  })
})

describe('from an application that speaks HTTP/2', () => {
  test('an Upgrade means nothing', () => {
    const bench = between({ downstream: '2' })
    bench.request('GET', true, 'connection', 'upgrade', 'upgrade', 'websocket')

    expect(bench.wanted).toEqual(['http2'])
    expect(bench.upstream.said[0]).not.toContain('upgrade')
  })
})

describe('what an endpoint refuses unread', () => {
  const post = (bench: Bench) => {
    bench.request('POST', false)
    bench.body('body', true)
  }

  test('goes again on another connection, whole, and is no further try', () => {
    const bench = between({ upstream: '2', identity })
    post(bench)
    bench.upstream.events.onReset('refused')

    expect(bench.upstreams).toHaveLength(2)
    expect(bench.upstream.said.slice(1)).toEqual(['data body end'])
    bench.answer('200', true)
    expect(bench.ended).toMatchObject([{ status: 200, attempts: 1, reason: null }])
    expect(bench.outcomes).toMatchObject([{ ok: true }])
  })

  test('goes on with a body that was still coming', () => {
    const bench = between({ upstream: '2', identity })
    bench.request('POST', false)
    bench.body('one ')
    bench.upstream.events.onReset('refused')
    bench.body('two', true)

    expect(bench.upstream.said.slice(1)).toEqual(['data one ', 'data two end'])
  })

  test('fails when it is refused again and again', () => {
    const bench = between({ upstream: '2', identity })
    post(bench)
    for (let refusals = 0; refusals < 4; refusals++) bench.upstream.events.onReset('refused')

    expect(bench.upstreams).toHaveLength(4)
    expect(bench.ended).toMatchObject([{ reason: 'CONNECT_FAILED' }])
  })

  test('fails when more of its body has gone than is kept', () => {
    const bench = between({ upstream: '2', identity })
    bench.request('POST', false)
    bench.body('x'.repeat(70_000))
    bench.upstream.events.onReset('refused')

    expect(bench.upstreams).toHaveLength(1)
    expect(bench.ended).toMatchObject([{ reason: 'CONNECT_FAILED' }])
  })
})

describe('a call of gRPC', () => {
  const call = (given: ConstructorParameters<typeof Bench>[3] = {}) => {
    const bench = between({ downstream: '2', upstream: '2', ...given })
    bench.request('POST', true, 'content-type', 'application/grpc')
    return bench
  }

  test('is over with the status of its trailers', () => {
    const bench = call()
    bench.answer('200', false)
    bench.upstream.events.onTrailers(['grpc-status', '5'])

    expect(bench.ended).toMatchObject([{ status: 200, grpcStatus: 5 }])
    expect(bench.outcomes).toMatchObject([{ ok: true, status: 200 }])
  })

  test('that fails with the server counts against its endpoint', () => {
    const bench = call()
    bench.answer('200', true, 'grpc-status', '14')

    expect(bench.ended).toMatchObject([{ status: 200, grpcStatus: 14 }])
    expect(bench.outcomes).toMatchObject([{ ok: false, status: 503 }])
  })

  test('to which the sidecar itself answers gets an answer of gRPC', () => {
    const bench = call()
    bench.upstream.events.onReset('closed')

    expect(bench.downstream.said).toEqual(['head :status 200 grpc-status 14 end'])
    expect(bench.ended).toMatchObject([{ status: 200, grpcStatus: 14, reason: 'UPSTREAM_CLOSED' }])
  })

  test.each([
    ['2', ['data  end']],
    ['1.1', []],
  ] as const)(
    'without a message, closed before its connection was there, ends with an empty piece on HTTP/%s: %j',
    (upstream, said) => {
      const bench = between({ downstream: '2', upstream })
      bench.connectsAtOnce = false
      bench.request('POST', false, 'content-type', 'application/grpc')
      bench.body('', true)
      bench.connect()

      expect(bench.upstream.said.slice(1)).toEqual(said)
      expect(bench.upstream.said[0]?.endsWith(' end')).toBe(upstream === '1.1')
    },
  )

  test('is none in HTTP/1.1', () => {
    const bench = between({})
    bench.request('POST', true, 'content-type', 'application/grpc')
    bench.answer('200', true, 'grpc-status', '14')

    expect(bench.ended).toMatchObject([{ grpcStatus: null }])
  })
})
