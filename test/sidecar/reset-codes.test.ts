// How a stream of HTTP/2 ends travels through two sidecars in both directions: raw, and as clients and servers of gRPC see it.
import { once } from 'node:events'
import { type ClientHttp2Stream, constants, type ServerHttp2Stream } from 'node:http2'
import { status } from '@grpc/grpc-js'
import { describe, expect, test } from 'vitest'
import { until } from '../support/caller.ts'
import { grpcClient } from '../support/grpc-echo.ts'
import { clientOf, http2App, pairFor } from '../support/http2-pair.ts'
import type { Pair } from '../support/pair.ts'

const {
  NGHTTP2_NO_ERROR: NO_ERROR,
  NGHTTP2_PROTOCOL_ERROR: PROTOCOL_ERROR,
  NGHTTP2_INTERNAL_ERROR: INTERNAL_ERROR,
  NGHTTP2_FLOW_CONTROL_ERROR: FLOW_CONTROL_ERROR,
  NGHTTP2_CANCEL: CANCEL,
  NGHTTP2_ENHANCE_YOUR_CALM: ENHANCE_YOUR_CALM,
  NGHTTP2_INADEQUATE_SECURITY: INADEQUATE_SECURITY,
} = constants
const HTTP_1_1_REQUIRED = 13

const closeOf = (stream: ClientHttp2Stream) => new Promise((resolve) => stream.on('close', resolve))

/** The event comes when the exchange has ended at that sidecar. */
async function ended({ events }: Pair, side: 'client' | 'server', count = 1) {
  const requests = () => events[side].filter((event) => event.kind === 'request')
  await until(`${count} requests at the ${side}`, () => requests().length >= count)
  return requests()
}

describe('a server that gives its answer up', () => {
  test.each([
    [CANCEL, CANCEL],
    [INTERNAL_ERROR, INTERNAL_ERROR],
    [PROTOCOL_ERROR, PROTOCOL_ERROR],
    [ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM],
    [INADEQUATE_SECURITY, INADEQUATE_SECURITY],
    [HTTP_1_1_REQUIRED, HTTP_1_1_REQUIRED],
    // Of one connection; and what would make a cut answer look whole.
    [FLOW_CONTROL_ERROR, INTERNAL_ERROR],
    [NO_ERROR, INTERNAL_ERROR],
  ])('with %i is heard with %i by the client', async (said, heard) => {
    const app = await http2App((stream) => {
      // Node would end the answer before it cancels it; with trailers to come it cannot.
      stream.respond({ ':status': 200 }, { waitForTrailers: true })
      stream.write('some')
      stream.on('data', () => stream.close(said))
    })
    const pair = await pairFor({ application: app.port })
    const client = await clientOf(pair)
    const stream = client.session.request({ ':method': 'POST', ':path': '/' })
    stream.on('error', () => {})
    const closed = closeOf(stream)
    await once(stream.resume(), 'data')
    stream.write('go on')
    await closed

    expect(stream.rstCode).toBe(heard)
    expect(await ended(pair, 'client')).toMatchObject([{ status: 200, reason: 'UPSTREAM_CLOSED' }])
  })

  test('with NO_ERROR behind a whole answer only stops the upload: the answer arrives, and nobody failed', async () => {
    const app = await http2App((stream) => {
      stream.respond({ ':status': 413 })
      stream.end('too much')
      stream.on('finish', () => stream.close(NO_ERROR))
    })
    const pair = await pairFor({ application: app.port })
    const client = await clientOf(pair)
    const upload = client.session.request({ ':method': 'POST', ':path': '/' })
    const errors: Error[] = []
    upload.on('error', (error) => errors.push(error))
    const body: Buffer[] = []
    upload.on('data', (chunk: Buffer) => body.push(chunk))
    upload.write('x'.repeat(1000))
    const closed = closeOf(upload)
    const [head] = await once(upload, 'response')
    await closed

    expect([head[':status'], Buffer.concat(body).toString(), upload.rstCode, errors]).toEqual([
      413,
      'too much',
      NO_ERROR,
      [],
    ])
    for (const side of ['client', 'server'] as const)
      expect(await ended(pair, side)).toMatchObject([{ status: 413, reason: null }])
  })

  test('before an answer is explained by the sidecar, which knows why', async () => {
    const app = await http2App((stream) => stream.close(HTTP_1_1_REQUIRED))
    const pair = await pairFor({ application: app.port })
    const answer = await (await clientOf(pair)).request({ ':path': '/' })

    expect(answer).toMatchObject({ status: 502, headers: { 'x-weft-reason': 'UPSTREAM_CLOSED' } })
    const detail = 'the endpoint reset the stream: HTTP_1_1_REQUIRED'
    expect(await ended(pair, 'server')).toMatchObject([{ reason: 'UPSTREAM_CLOSED', detail }])
  })
})

describe('a client that gives its request up', () => {
  test.each([
    [CANCEL, CANCEL],
    [INTERNAL_ERROR, INTERNAL_ERROR],
    [ENHANCE_YOUR_CALM, ENHANCE_YOUR_CALM],
    [NO_ERROR, CANCEL],
  ])('with %i is heard with %i by the server', async (said, heard) => {
    const streams: ServerHttp2Stream[] = []
    const app = await http2App((stream) => {
      streams.push(stream)
      stream.respond({ ':status': 200 })
      stream.write('some')
    })
    const pair = await pairFor({ application: app.port })
    const client = await clientOf(pair)
    const request = client.session.request({ ':method': 'POST', ':path': '/' }, { endStream: false })
    request.on('error', () => {})
    await once(request, 'data')
    request.close(said)
    await until('the server heard of it', () => streams[0]?.destroyed === true)

    expect(streams[0]?.rstCode).toBe(heard)
    expect(await ended(pair, 'server')).toMatchObject([{ status: 200, reason: null }])
  })
})

describe('a call of gRPC', () => {
  const calls = async (answer: (stream: ServerHttp2Stream) => void) => {
    const app = await http2App((stream, headers) => {
      expect(headers['content-type']).toBe('application/grpc')
      answer(stream)
    })
    const pair = await pairFor({ application: app.port })
    return { pair, client: grpcClient(`127.0.0.1:${pair.port}`) }
  }
  const begin = (stream: ServerHttp2Stream) =>
    stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })

  test.each([
    ['CANCEL', CANCEL, status.CANCELLED],
    ['ENHANCE_YOUR_CALM', ENHANCE_YOUR_CALM, status.RESOURCE_EXHAUSTED],
    ['INADEQUATE_SECURITY', INADEQUATE_SECURITY, status.PERMISSION_DENIED],
    ['INTERNAL_ERROR', INTERNAL_ERROR, status.INTERNAL],
    ['NO_ERROR', NO_ERROR, status.INTERNAL],
  ])('that its server ends with %s has the status of the table of gRPC', async (_, number, code) => {
    const made = await calls((stream) => {
      begin(stream)
      stream.on('data', () => setImmediate(() => stream.close(number)))
    })
    using client = made.client
    const reply = await client.unary('hello')

    expect(reply.code).toBe(code)
    for (const side of ['client', 'server'] as const)
      expect(await ended(made.pair, side)).toMatchObject([{ grpcStatus: code }])
  })

  test.each([
    ['CANCEL', CANCEL, status.CANCELLED],
    ['ENHANCE_YOUR_CALM', ENHANCE_YOUR_CALM, status.RESOURCE_EXHAUSTED],
  ])('that its server ends with %s before a head, too', async (_, number, code) => {
    const made = await calls((stream) => stream.close(number))
    using client = made.client

    expect((await client.unary('hello')).code).toBe(code)
    expect(await ended(made.pair, 'client')).toMatchObject([{ grpcStatus: code }])
  })

  test('that its client cancels, or whose deadline passes, is cancelled at the server at once', async () => {
    const streams: ServerHttp2Stream[] = []
    const made = await calls((stream) => {
      streams.push(stream)
      stream.resume()
    })
    using client = made.client
    const chat = client.chat()
    chat.on('error', () => {})
    chat.write('hello')
    await until('the server has the call', () => streams.length === 1)
    chat.cancel()
    await until('the server heard of it', () => streams[0]?.destroyed === true, 3000)
    const late = await client.unary('hello', { deadline: Date.now() + 300 })
    await until('the server heard of it', () => streams[1]?.destroyed === true, 3000)

    expect(late.code).toBe(status.DEADLINE_EXCEEDED)
    expect(streams.map(({ rstCode }) => rstCode)).toEqual([CANCEL, CANCEL])
    for (const side of ['client', 'server'] as const)
      expect(await ended(made.pair, side, 2)).toMatchObject([
        { grpcStatus: status.CANCELLED, reason: null },
        { grpcStatus: status.CANCELLED, reason: null },
      ])
  })
})
