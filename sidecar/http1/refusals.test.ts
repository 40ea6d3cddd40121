import { expect, test } from 'vitest'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import { LINGER_MS } from '#flow/linger.ts'
import { ManualClock } from '#shared/clock.ts'
import { FIELD_LIMIT, HEAD_LIMIT_BYTES, HEAD_TIMEOUT_MS, REQUEST_LINE_LIMIT_BYTES } from './limits.ts'
import { echo, RawClient, startCodecServer } from './testing.ts'

const post = (fields: string, body = '') => `POST / HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`
const chunked = (body: string) => post('Transfer-Encoding: chunked', body)
const get = (...fields: string[]) => `GET / HTTP/1.1\r\n${fields.map((field) => `${field}\r\n`).join('')}\r\n`
const lineOf = (line: string) => `${line}\r\nHost: a\r\n\r\n`

const rows: [name: string, bytes: string, code: FaultCode][] = [
  // Host (RFC 9112 section 3.2)
  ['no Host', get(), 'BAD_REQUEST'],
  ['two Host fields', get('Host: a', 'Host: b'), 'BAD_REQUEST'],
  ['two equal Host fields', get('Host: a', 'host: a'), 'BAD_REQUEST'],
  ['a list in Host', get('Host: a,b'), 'BAD_REQUEST'],
  ['user information in Host', get('Host: a@b'), 'BAD_REQUEST'],
  ['a blank in Host', get('Host: a b'), 'BAD_REQUEST'],
  ['a path in Host', get('Host: a/b'), 'BAD_REQUEST'],
  ['a port that is no number', get('Host: a:b'), 'BAD_REQUEST'],
  ['a port beyond 65535', get('Host: a:65536'), 'BAD_REQUEST'],
  ['a port without a host', get('Host: :80'), 'BAD_REQUEST'],
  ['an open bracket in Host', get('Host: [::1'), 'BAD_REQUEST'],
  ['text behind the bracket', get('Host: [::1]a'), 'BAD_REQUEST'],
  ['no Host beside an absolute URI', 'GET http://a/ HTTP/1.1\r\n\r\n', 'BAD_REQUEST'],
  // The request line (section 3)
  ['HTTP/0.9', 'GET /\r\n\r\n', 'BAD_REQUEST'],
  ['HTTP/2.0 as text', lineOf('GET / HTTP/2.0'), 'HTTP_VERSION'],
  ['HTTP/1.2', lineOf('GET / HTTP/1.2'), 'HTTP_VERSION'],
  ['HTTP/0.9 with a version', lineOf('GET / HTTP/0.9'), 'HTTP_VERSION'],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'HTTP_VERSION'],
  ['a version of two digits', lineOf('GET / HTTP/1.10'), 'BAD_REQUEST'],
  ['a version in lower case', lineOf('GET / http/1.1'), 'BAD_REQUEST'],
  ['two blanks after the method', lineOf('GET  / HTTP/1.1'), 'BAD_REQUEST'],
  ['two blanks before the version', lineOf('GET /  HTTP/1.1'), 'BAD_REQUEST'],
  ['a blank after the version', lineOf('GET / HTTP/1.1 '), 'BAD_REQUEST'],
  ['a tab as blank', lineOf('GET\t/ HTTP/1.1'), 'BAD_REQUEST'],
  ['a blank in the target', lineOf('GET /a b HTTP/1.1'), 'BAD_REQUEST'],
  ['a leading blank', lineOf(' GET / HTTP/1.1'), 'BAD_REQUEST'],
  ['a method in lower case', lineOf('get / HTTP/1.1'), 'BAD_REQUEST'],
  ['a method with a forbidden character', lineOf('GE(T / HTTP/1.1'), 'BAD_REQUEST'],
  ['a fragment', lineOf('GET /a#b HTTP/1.1'), 'BAD_REQUEST'],
  ['* with GET', lineOf('GET * HTTP/1.1'), 'BAD_REQUEST'],
  ['a target without a slash', lineOf('GET a HTTP/1.1'), 'BAD_REQUEST'],
  ['a control character in the target', lineOf('GET /\x01 HTTP/1.1'), 'BAD_REQUEST'],
  ['DEL in the target', lineOf('GET /\x7f HTTP/1.1'), 'BAD_REQUEST'],
  ['a raw byte beyond ASCII in the target', lineOf('GET /\xe4 HTTP/1.1'), 'BAD_REQUEST'],
  ['an absolute URI of another scheme', lineOf('GET ftp://a/ HTTP/1.1'), 'BAD_REQUEST'],
  ['an absolute URI without a host', lineOf('GET http:///a HTTP/1.1'), 'BAD_REQUEST'],
  ['user information in an absolute URI', lineOf('GET http://u:p@a/ HTTP/1.1'), 'BAD_REQUEST'],
  ['CONNECT', 'CONNECT a:443 HTTP/1.1\r\nHost: a:443\r\n\r\n', 'CONNECT_REFUSED'],
  ['two empty lines before the request', `\r\n\r\n${get('Host: a')}`, 'BAD_REQUEST'],
  // Fields (section 5)
  ['a blank before the colon', get('Host : a'), 'BAD_REQUEST'],
  ['a folded field', get('Host: a', 'X: a', ' b'), 'BAD_REQUEST'],
  ['a folded first field', get(' Host: a'), 'BAD_REQUEST'],
  ['a field without a name', get('Host: a', ': b'), 'BAD_REQUEST'],
  ['a field without a colon', get('Host: a', 'X'), 'BAD_REQUEST'],
  ['a forbidden character in a name', get('Host: a', 'X(: b'), 'BAD_REQUEST'],
  ['NUL in a value', get('Host: a', 'X: a\x00b'), 'BAD_REQUEST'],
  ['NUL in a name', get('Host: a', 'X\x00: a'), 'BAD_REQUEST'],
  ['DEL in a value', get('Host: a', 'X: a\x7fb'), 'BAD_REQUEST'],
  ['a bare CR in a value', get('Host: a', 'X: a\rb'), 'BAD_REQUEST'],
  ['a bare LF after a value', 'GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n', 'BAD_REQUEST'],
  ['a bare LF after the request line', 'GET / HTTP/1.1\nHost: a\r\n\r\n', 'BAD_REQUEST'],
  ['bare LFs only', 'GET / HTTP/1.1\nHost: a\n\n', 'BAD_REQUEST'],
  ['a bare LF as the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\n', 'BAD_REQUEST'],
  ['a bare CR as the empty line', 'GET / HTTP/1.1\r\nHost: a\r\n\rGET / HTTP/1.1\r\n\r\n', 'BAD_REQUEST'],
  // Framing (section 6)
  [
    'Content-Length with Transfer-Encoding',
    post('Content-Length: 5\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    'BAD_REQUEST',
  ],
  [
    'Transfer-Encoding with Content-Length',
    post('Transfer-Encoding: chunked\r\nContent-Length: 5', '0\r\n\r\n'),
    'BAD_REQUEST',
  ],
  ['two Content-Lengths', post('Content-Length: 5\r\nContent-Length: 6'), 'BAD_REQUEST'],
  ['two equal Content-Lengths', post('Content-Length: 5\r\nContent-Length: 5', 'hello'), 'BAD_REQUEST'],
  ['a list of lengths', post('Content-Length: 5, 5', 'hello'), 'BAD_REQUEST'],
  ['a length with a sign', post('Content-Length: +1', 'a'), 'BAD_REQUEST'],
  ['a negative length', post('Content-Length: -1'), 'BAD_REQUEST'],
  ['a hexadecimal length', post('Content-Length: 0x1', 'a'), 'BAD_REQUEST'],
  ['a length with an underscore', post('Content-Length: 1_0'), 'BAD_REQUEST'],
  ['a length with a blank', post('Content-Length: 1 0'), 'BAD_REQUEST'],
  ['an empty length', post('Content-Length:'), 'BAD_REQUEST'],
  ['a fractional length', post('Content-Length: 1.0', 'a'), 'BAD_REQUEST'],
  ['a length beyond all bounds', post('Content-Length: 99999999999999999999'), 'BAD_REQUEST'],
  ['a length that a number cannot hold', post('Content-Length: 9007199254740993'), 'BAD_REQUEST'],
  ['Content_Length', post('Content_Length: 5', 'hello'), 'BAD_REQUEST'],
  ['Transfer_Encoding', post('Transfer_Encoding: chunked', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['Transfer-Encoding on HTTP/1.0', 'POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 'BAD_REQUEST'],
  ['identity, chunked', post('Transfer-Encoding: identity, chunked', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['gzip, chunked', post('Transfer-Encoding: gzip, chunked', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunked, identity', post('Transfer-Encoding: chunked, identity', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunked twice in one field', post('Transfer-Encoding: chunked, chunked', '0\r\n\r\n'), 'BAD_REQUEST'],
  [
    'chunked twice in two fields',
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked', '0\r\n\r\n'),
    'BAD_REQUEST',
  ],
  ['identity', post('Transfer-Encoding: identity'), 'BAD_REQUEST'],
  ['xchunked', post('Transfer-Encoding: xchunked', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunked in quotes', post('Transfer-Encoding: "chunked"', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunked with a parameter', post('Transfer-Encoding: chunked;q=1', '0\r\n\r\n'), 'BAD_REQUEST'],
  ['an empty Transfer-Encoding', post('Transfer-Encoding:'), 'BAD_REQUEST'],
  ['a vertical tab before chunked', post('Transfer-Encoding: \x0bchunked', '0\r\n\r\n'), 'BAD_REQUEST'],
  // The chunked coding (section 7.1)
  ['a chunk size that is no number', chunked('x\r\n\r\n'), 'BAD_REQUEST'],
  ['an empty chunk size', chunked('\r\n\r\n'), 'BAD_REQUEST'],
  ['a chunk size with 0x', chunked('0x1\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a chunk size with a sign', chunked('+1\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a negative chunk size', chunked('-1\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a chunk size with an underscore', chunked('1_0\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a blank before the chunk size', chunked(' 1\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a blank behind the chunk size', chunked('1 \r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a chunk size beyond all bounds', chunked('10000000000000000\r\n'), 'BAD_REQUEST'],
  ['a chunk size of 13 large digits', chunked('fffffffffffff\r\n'), 'BAD_REQUEST'],
  ['a bare LF after the chunk size', chunked('1\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a bare CR after the chunk size', chunked('1\ra\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunk data longer than its size', chunked('1\r\nab\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunk data shorter than its size', chunked('3\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a bare LF after chunk data', chunked('1\r\na\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a bare LF in a chunk extension', chunked('1;a\nb\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a bare CR in a chunk extension', chunked('1;a\rb\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a chunk extension without a name', chunked('1;\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['a chunk extension with a blank', chunked('1; a\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['an open quote in a chunk extension', chunked('1;a="b\r\na\r\n0\r\n\r\n'), 'BAD_REQUEST'],
  ['chunk extensions without end', chunked(`1;${'a'.repeat(17_000)}\r\na\r\n0\r\n\r\n`), 'BAD_REQUEST'],
  ['a bare LF after the last chunk', chunked('0\n\r\n'), 'BAD_REQUEST'],
  ['Content-Length in the trailers', chunked('0\r\nContent-Length: 5\r\n\r\n'), 'BAD_REQUEST'],
  ['Transfer-Encoding in the trailers', chunked('0\r\nTransfer-Encoding: chunked\r\n\r\n'), 'BAD_REQUEST'],
  ['Host in the trailers', chunked('0\r\nHost: b\r\n\r\n'), 'BAD_REQUEST'],
  ['a folded trailer', chunked('0\r\nX: a\r\n b\r\n\r\n'), 'BAD_REQUEST'],
  ['too many trailers', chunked(`0\r\n${'X: a\r\n'.repeat(FIELD_LIMIT + 1)}\r\n`), 'HEADER_TOO_LARGE'],
  // Limits
  ['a request line beyond 32 KiB', lineOf(`GET /${'a'.repeat(REQUEST_LINE_LIMIT_BYTES)} HTTP/1.1`), 'URI_TOO_LONG'],
  ['a request line without end', `GET /${'a'.repeat(REQUEST_LINE_LIMIT_BYTES)}`, 'URI_TOO_LONG'],
  ['a field beyond 60 KiB', get('Host: a', `X: ${'a'.repeat(HEAD_LIMIT_BYTES)}`), 'HEADER_TOO_LARGE'],
  ['a field without end', `GET / HTTP/1.1\r\nX: ${'a'.repeat(HEAD_LIMIT_BYTES)}`, 'HEADER_TOO_LARGE'],
  ['fields of 60 KiB in sum', get('Host: a', ...Array<string>(70).fill(`X: ${'a'.repeat(1000)}`)), 'HEADER_TOO_LARGE'],
  ['101 fields', get('Host: a', ...Array<string>(FIELD_LIMIT).fill('X: a')), 'HEADER_TOO_LARGE'],
]

test.each(rows)('refuses %s', async (_name, bytes, code) => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)

  const answer = await client.send(bytes).untilEnd()

  expect(server.refused.map((refusal) => refusal.code)).toEqual([code])
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  expect(head.split('\r\n')[0]).toMatch(new RegExp(`^HTTP/1\\.1 ${FAULTS[code].status} `))
  expect(head).toContain(`\r\nx-weft-reason: ${code}`)
  expect(head).toContain('\r\nconnection: close')
  expect(body).toContain(FAULTS[code].text)
  expect(body).toHaveLength(Number(/content-length: (\d+)/.exec(head)?.[1]))
  expect(server.requests.every((request) => request.reset === 'protocol')).toBe(true)
})

test.each(rows.filter(([, bytes]) => bytes.length < 2000))(
  'refuses %s also when it comes byte by byte',
  async (_name, bytes, code) => {
    await using server = await startCodecServer({ answer: echo })
    await using client = await RawClient.connect(server.port)
    client.socket.setNoDelay(true)

    for (const byte of bytes) {
      client.send(byte)
      await new Promise<void>((resolve) => setImmediate(resolve))
    }

    expect(await client.untilEnd()).toContain(`x-weft-reason: ${code}`)
  },
)

test('answers what came before a malformed request, and then refuses it', async () => {
  await using server = await startCodecServer({ answer: echo })
  await using client = await RawClient.connect(server.port)

  const answer = await client
    .send(`GET /first HTTP/1.1\r\nHost: a\r\n\r\nGET /second HTTP/1.1\r\n\r\n${get('Host: a')}`)
    .untilEnd()

  expect(answer.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 200', 'HTTP/1.1 400'])
  expect(server.requests).toHaveLength(1)
})

test('cuts an answer that has begun when the request turns out to be malformed', async () => {
  await using server = await startCodecServer()
  await using client = await RawClient.connect(server.port)
  client.send(chunked('1\r\na\r\n'))
  const request = await server.request(0)
  request.stream.sendHead([':status', '200'], false)
  await client.untilIncludes('\r\n\r\n')

  const answer = await client.send('x').untilEnd()

  expect(request.reset).toBe('protocol')
  expect(answer).not.toContain('400')
  expect(answer).not.toContain('0\r\n\r\n')
})

test('a head that does not end within 10 seconds of its first byte is refused', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, head: Buffer.from('GET / HT') })
  await using client = await RawClient.connect(server.port)
  while (server.connections.length === 0) await new Promise<void>((resolve) => setImmediate(resolve))
  await new Promise<void>((resolve) => setImmediate(resolve))

  clock.advance(HEAD_TIMEOUT_MS - 1)
  expect(server.refused).toEqual([])
  clock.advance(1)

  expect(await client.untilEnd()).toMatch(/^HTTP\/1\.1 408 .*x-weft-reason: HEAD_TIMEOUT/s)
})

test('neither an idle connection, a stray empty line nor a body has a time limit', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock, answer: echo })
  await using client = await RawClient.connect(server.port)
  client.send('POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n1')
  const first = await server.request(0)
  await first.until(() => first.body === '1')
  clock.advance(3_600_000)
  client.send('2\r\n')
  await client.untilIncludes('POST /a 12')
  clock.advance(3_600_000)

  expect(await client.send(get('Host: a')).untilIncludes('GET /')).toContain('GET /')
  expect(server.refused).toEqual([])
})

test('a client that goes on sending after a refusal still gets it, and is cut off in the end', async () => {
  const clock = new ManualClock()
  await using server = await startCodecServer({ clock })
  await using client = await RawClient.connect(server.port)
  client.send(get())
  await client.untilEnd()
  client.send('x'.repeat(100_000))
  expect(client.received).toContain('400 Bad Request')
  while (server.closed === 0) {
    clock.advance(LINGER_MS)
    await new Promise<void>((resolve) => setImmediate(resolve))
  }
  expect(server.requests).toEqual([])
})
