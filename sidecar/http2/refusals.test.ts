import { expect, test } from 'vitest'
import { listen } from '#flow/listen.fixture.ts'
import type { Fields } from '#flow/stream.ts'
import { ManualClock } from '#shared/clock.ts'
import { PREFACE } from './protocol.ts'
import { connectCodecClient, echo, requestTo, startCodecServer } from './testing.ts'
import { block, FramePeer, frame, get, settings, uint32 } from './testing-frames.ts'

const literal = (name: string, value: string) =>
  Buffer.concat([
    Buffer.from([0, name.length]),
    Buffer.from(name, 'latin1'),
    Buffer.from([value.length]),
    Buffer.from(value, 'latin1'),
  ])
const raw = (fields: Fields) => {
  const parts: Buffer[] = []
  for (let i = 0; i < fields.length; i += 2) parts.push(literal(fields[i] ?? '', fields[i + 1] ?? ''))
  return Buffer.concat(parts)
}
const without = (name: string) => {
  const fields = requestTo('/')
  fields.splice(fields.indexOf(name), 2)
  return fields
}
const but = (name: string, value: string) => {
  const fields = requestTo('/')
  fields[fields.indexOf(name) + 1] = value
  return fields
}

const MALFORMED: [string, Fields, string][] = [
  ['no :method', without(':method'), 'a pseudo-field is missing'],
  ['no :scheme', without(':scheme'), 'a pseudo-field is missing'],
  ['no :path', without(':path'), 'a pseudo-field is missing'],
  ['an empty :path', but(':path', ''), 'a bad :path'],
  ['two :paths', [...requestTo('/'), ':path', '/b'], 'a bad :path'],
  ['two :authorities', [...requestTo('/'), ':authority', 'b'], 'a bad :authority'],
  ['a :path without a slash', but(':path', 'a'), 'a :path without a slash'],
  ['a * without OPTIONS', but(':path', '*'), 'a :path without a slash'],
  ['a fragment', but(':path', '/a#b'), 'a bad :path'],
  ['a blank in the :path', but(':path', '/a b'), 'a bad :path'],
  ['a line break in the :path', but(':path', '/a\r\nX: b'), 'a forbidden character in a field'],
  ['user information', but(':authority', 'a@b'), 'a bad :authority'],
  ['a method in lower case', but(':method', 'get'), 'a bad :method'],
  ['a method with a blank', but(':method', 'GET /'), 'a bad :method'],
  ['another scheme', but(':scheme', 'ftp'), 'a bad :scheme'],
  ['a :status', [...requestTo('/'), ':status', '200'], 'a pseudo-field that does not belong here'],
  ['an unknown pseudo-field', [':unknown', 'a', ...requestTo('/')], 'a forbidden character in a field'],
  ['a pseudo-field behind a field', [...without(':path'), 'x', 'y', ':path', '/'], 'a pseudo-field behind a field'],
  ['an upper-case name', [...requestTo('/'), 'X', 'y'], 'a forbidden character in a field'],
  ['a blank in a name', [...requestTo('/'), 'x y', 'z'], 'a forbidden character in a field'],
  ['a colon in a name', [...requestTo('/'), 'x:y', 'z'], 'a forbidden character in a field'],
  ['no name', [...requestTo('/'), '', 'z'], 'a forbidden character in a field'],
  ['a line feed in a value', [...requestTo('/'), 'x', 'a\nb'], 'a forbidden character in a field'],
  ['NUL in a value', [...requestTo('/'), 'x', 'a\0b'], 'a forbidden character in a field'],
  ['a blank before a value', [...requestTo('/'), 'x', ' a'], 'a forbidden character in a field'],
  ['connection', [...requestTo('/'), 'connection', 'close'], 'a field of HTTP/1.1 connections'],
  ['keep-alive', [...requestTo('/'), 'keep-alive', '5'], 'a field of HTTP/1.1 connections'],
  ['proxy-connection', [...requestTo('/'), 'proxy-connection', 'close'], 'a field of HTTP/1.1 connections'],
  ['upgrade', [...requestTo('/'), 'upgrade', 'websocket'], 'a field of HTTP/1.1 connections'],
  ['transfer-encoding', [...requestTo('/'), 'transfer-encoding', 'chunked'], 'a field of HTTP/1.1 connections'],
  [
    'transfer_encoding',
    [...requestTo('/'), 'transfer_encoding', 'chunked'],
    'a field that some servers read as framing',
  ],
  ['content_length', [...requestTo('/'), 'content_length', '1'], 'a field that some servers read as framing'],
  ['te', [...requestTo('/'), 'te', 'gzip'], 'TE other than trailers'],
  ['another Host', [...requestTo('/'), 'host', 'other'], 'a Host other than :authority'],
  ...[but(':method', 'CONNECT'), requestTo('/')].map((fields): [string, string[], string] => [
    `${fields[1]} with :protocol`,
    [...fields.slice(0, 8), ':protocol', 'websocket'],
    'extended CONNECT (RFC 8441), which SETTINGS do not offer: open a WebSocket by HTTP/1.1',
  ]),
  ['two Hosts', [...without(':authority'), 'host', 'a', 'host', 'a'], 'a Host that must not be'],
  ['a bad Host', [...without(':authority'), 'host', 'a@b'], 'a Host that is not a host and port'],
  ['a bad Content-Length', [...requestTo('/'), 'content-length', '+1'], 'a Content-Length that is not a number'],
  [
    'two Content-Lengths',
    [...requestTo('/'), 'content-length', '0', 'content-length', '0'],
    'more than one Content-Length',
  ],
]

test.each(MALFORMED)(
  '%s: answered with 400 and its reason, reset, and the next request is served',
  async (_name, fields, detail) => {
    await using server = await startCodecServer({ answer: echo })
    await using peer = await FramePeer.connect(server.port)
    peer.send(frame(1, 5, 1, raw(fields)), get(3))
    const answer = peer.fieldsOf(await peer.frame(1, 1))
    await peer.frame(1, 3)

    expect(answer).toContain('400')
    expect(answer.slice(-2)).toEqual(['x-weft-reason', 'BAD_REQUEST'])
    expect((await peer.frame(0, 1)).payload.toString()).toContain(detail)
    expect((await peer.frame(3, 1)).payload.readUInt32BE(0)).toBe(1)
    expect(server.refused).toEqual([{ code: 'BAD_REQUEST', detail }])
    expect(server.requests).toHaveLength(1)
  },
)

test.each([
  ['CONNECT', [':method', 'CONNECT', ':authority', 'a:1'], '405', 'CONNECT_REFUSED'],
  ['a long path', but(':path', `/${'a'.repeat(33_000)}`), '414', 'URI_TOO_LONG'],
  ['many fields', [...requestTo('/'), ...Array.from({ length: 200 }, () => 'x')], '431', 'HEADER_TOO_LARGE'],
  ['large fields', [...requestTo('/'), 'x', 'y'.repeat(60_000), 'z', 'y'.repeat(5000)], '431', 'HEADER_TOO_LARGE'],
])('%s is answered with its status', async (_name, fields, status, code) => {
  await using server = await startCodecServer({ answer: echo })
  await using peer = await FramePeer.connect(server.port)
  const bytes = block(fields)
  peer.send(frame(1, bytes.length > 16_384 ? 1 : 5, 1, bytes.subarray(0, 16_384)))
  for (let from = 16_384; from < bytes.length; from += 16_384)
    peer.send(frame(9, from + 16_384 >= bytes.length ? 4 : 0, 1, bytes.subarray(from, from + 16_384)))
  const answer = peer.fieldsOf(await peer.frame(1, 1))

  expect([answer[1], answer.at(-1)]).toEqual([status, code])
  expect(server.refused.map((refused) => refused.code)).toEqual([code])
})

test.each([
  ['a body shorter than its Content-Length', ['content-length', '5'], [frame(0, 1, 1, Buffer.from('abc'))]],
  ['a body longer than its Content-Length', ['content-length', '2'], [frame(0, 0, 1, Buffer.from('abc'))]],
  ['trailers in place of the body', ['content-length', '2'], [frame(1, 5, 1, block(['x', 'y']))]],
  ['trailers with a pseudo-field', [], [frame(1, 5, 1, raw([':path', '/']))]],
  ['trailers with a length', [], [frame(1, 5, 1, raw(['content-length', '1']))]],
  ['trailers that do not end', [], [frame(1, 4, 1, block(['x', 'y']))]],
  ['DATA beyond the window', [], Array.from({ length: 9 }, () => frame(0, 0, 1, Buffer.alloc(16_384)))],
])('%s resets the request alone', async (_name, more, frames) => {
  await using server = await startCodecServer({ answer: echo })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(1, 4, 1, block(requestTo('/', 'POST', ...more))))
  const half = await server.request(0)
  half.stream.pause()
  peer.send(...frames, get(3))
  await peer.frame(1, 3)

  expect(half.reset).toBe('protocol')
  expect(peer.frames.filter(({ type, streamId }) => type === 3 && streamId === 1)).toHaveLength(1)
})

test.each([
  ['bytes that are no preface', Buffer.from('GET / HTTP/1.1\r\n\r\n'), 1],
  ['a first frame other than SETTINGS', Buffer.concat([PREFACE, get(1)]), 1],
  ['a stream of an even number', Buffer.concat([PREFACE, settings(), get(2)]), 1],
  ['a number below the last', Buffer.concat([PREFACE, settings(), get(5), get(3)]), 5],
  ['a frame beyond 16 KiB', Buffer.concat([PREFACE, settings(), frame(0, 0, 1, Buffer.alloc(16_385))]), 6],
  ['a table that differs', Buffer.concat([PREFACE, settings(), frame(1, 5, 1, Buffer.from([0xbe]))]), 9],
  ['a push', Buffer.concat([PREFACE, settings(), frame(5, 4, 1, uint32(2))]), 1],
  ['more window than there can be', Buffer.concat([PREFACE, settings(), frame(8, 0, 0, uint32(0x7fff_ffff))]), 3],
])('%s ends the connection with a GOAWAY', async (_name, opening, error) => {
  await using server = await startCodecServer()
  await using peer = await FramePeer.connect(server.port, opening)

  expect(await peer.goaway()).toBe(error)
  peer.socket.end()
  await peer.untilClosed()
  expect(server.refused).toHaveLength(1)
})

test.each([
  ['nothing at all', Buffer.alloc(0), 'HTTP2_SILENT'],
  ['half a preface', PREFACE.subarray(0, 10), 'HTTP2_SILENT'],
  ['half a head', Buffer.concat([PREFACE, settings(), frame(4, 1, 0), get(1).subarray(0, 12)]), 'HEAD_TIMEOUT'],
  ['a head without its end', Buffer.concat([PREFACE, settings(), frame(4, 1, 0), frame(1, 1, 1)]), 'HEAD_TIMEOUT'],
  ['no acknowledgement of SETTINGS', Buffer.concat([PREFACE, settings(), get(1)]), 'HTTP2_SILENT'],
])('a client that sends %s is waited for 10 seconds', async (_name, opening, code) => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock })
  await using peer = await FramePeer.connect(server.port, opening)
  await peer.frame(4)
  for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  clock.advance(9_900)
  expect(server.refused).toEqual([])
  clock.advance(200)
  await peer.goaway()

  expect(server.refused.map((refused) => refused.code)).toEqual([code])
})

test('a silent connection is asked with PINGs, and ends after two without an answer; long streams have no limit', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, keepaliveMs: 10_000 })
  await using peer = await FramePeer.connect(server.port)
  peer.send(frame(4, 1, 0), get(1))
  const half = await server.request(0)
  for (let minute = 1; minute <= 20; minute++) {
    clock.advance(30_000 - 10_000)
    await peer.until(() => peer.frames.filter(({ type, flags }) => type === 6 && flags === 0).length >= minute)
    const ping = peer.frames.findLast(({ type }) => type === 6)
    peer.send(frame(6, 1, 0, ping?.payload), frame(0xfe, 0, 0))
    for (let turn = 0; turn < 20; turn++) await new Promise<void>((resolve) => setImmediate(resolve))
  }
  expect(half.reset).toBe(null)
  clock.advance(40_000)
  await peer.goaway()

  expect(half.reset).toBe('closed')
  expect(server.refused).toEqual([{ code: 'HTTP2_SILENT', detail: 'two PINGs without an answer' }])
})

// ---- what a server may not send

const OK = block([':status', '200'])

test.each([
  ['a head without :status', frame(1, 4, 1, block(['x', 'y']))],
  ['two :statuses', frame(1, 4, 1, raw([':status', '200', ':status', '200']))],
  ['a :status that is no number', frame(1, 4, 1, raw([':status', '2x0']))],
  ['a 101', frame(1, 4, 1, raw([':status', '101']))],
  ['a 1xx that ends its stream', frame(1, 5, 1, raw([':status', '103']))],
  ['a :path', frame(1, 4, 1, raw([':status', '200', ':path', '/']))],
  ['a field of HTTP/1.1 connections', frame(1, 4, 1, raw([':status', '200', 'connection', 'close']))],
  ['DATA before a head', frame(0, 1, 1, Buffer.from('a'))],
  ['a Content-Length without its body', frame(1, 5, 1, block([':status', '200', 'content-length', '3']))],
  [
    'a body of another length',
    Buffer.concat([frame(1, 4, 1, block([':status', '200', 'content-length', '3'])), frame(0, 1, 1, Buffer.from('a'))]),
  ],
  [
    'a head without end',
    frame(
      1,
      4,
      1,
      block([':status', '200', 'x', 'y'.repeat(65_000)].slice(0, 2).concat(Array.from({ length: 202 }, () => 'x'))),
    ),
  ],
])('a server that sends %s has its answer refused, and the connection goes on', async (_name, bytes) => {
  const { promise, resolve } = Promise.withResolvers<FramePeer>()
  await using listener = await listen((socket) => resolve(new FramePeer(socket)))
  await using client = await connectCodecClient(listener.port)
  const half = client.send(requestTo('/'))
  const next = client.send(requestTo('/next'))
  const peer = await promise
  peer.send(settings(), bytes, frame(1, 5, 3, OK))
  await Promise.all([half.ended(), next.ended()])

  expect([half.reset, next.head[1]]).toEqual(['protocol', '200'])
})

test.each([
  ['a push', frame(5, 4, 1, uint32(2))],
  ['an answer to what was never asked', frame(1, 5, 9, OK)],
  ['a frame before SETTINGS', null],
])('a server that sends %s loses the connection', async (_name, bytes) => {
  const { promise, resolve } = Promise.withResolvers<FramePeer>()
  await using listener = await listen((socket) => resolve(new FramePeer(socket)))
  await using client = await connectCodecClient(listener.port)
  const half = client.send(requestTo('/'))
  const peer = await promise
  // The client's preface is no frame; what is checked is only what it tells its own side.
  peer.send(...(bytes === null ? [frame(1, 5, 1, OK)] : [settings(), bytes]))
  await half.ended()

  expect([half.reset, client.connection.isLeaving]).toEqual(['protocol', true])
})
