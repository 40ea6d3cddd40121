// For the differential tests and those of smuggling: bytes that are nearly HTTP/1.1.
import fc from 'fast-check'

const name = fc.constantFrom(
  'X',
  'x-long-name',
  'Accept',
  'Host',
  'Connection',
  'Expect',
  'Upgrade',
  'Content-Length',
  'Transfer-Encoding',
  'Trailer',
  'TE',
  'Content_Length',
)
const value = fc.oneof(
  fc.constantFrom(
    'a',
    '',
    'a, b',
    'close',
    'keep-alive',
    'upgrade',
    'websocket',
    'h2c',
    '100-continue',
    'chunked',
    'identity',
    'gzip, chunked',
    '0',
    '3',
    '03',
    '+3',
    '0x3',
    '3, 3',
    '99999999999999999999',
  ),
  fc.string({ unit: fc.integer({ min: 0x20, max: 0xff }).map((code) => String.fromCharCode(code)), maxLength: 12 }),
)
const field = fc
  .tuple(name, fc.constantFrom(': ', ':', ':\t', ':  '), value, fc.constantFrom('', ' ', '\t', ' \t '))
  .map((parts) => parts.join(''))
const chunk = fc
  .tuple(
    fc.string({ minLength: 1, maxLength: 20 }),
    fc.constantFrom('', ';a', ';a=b', ';a="b;c"', ';a=b;c'),
    fc.boolean(),
  )
  .map(([data, extension, isUpper]) => {
    const size = Buffer.byteLength(data, 'latin1').toString(16)
    return `${isUpper ? size.toUpperCase() : `0${size}`}${extension}\r\n${data}\r\n`
  })
const trailers = fc.array(
  fc.tuple(fc.constantFrom('X-Sum', 'Via', 'Host'), value).map(([key, text]) => `${key}: ${text}\r\n`),
  { maxLength: 2 },
)
const body = fc.oneof(
  { weight: 3, arbitrary: fc.constant({ fields: [] as string[], text: '' }) },
  {
    weight: 2,
    arbitrary: fc.string({ maxLength: 40 }).map((text) => ({ fields: [`Content-Length: ${text.length}`], text })),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(fc.array(chunk, { maxLength: 4 }), trailers).map(([chunks, last]) => ({
      fields: ['Transfer-Encoding: chunked'],
      text: `${chunks.join('')}0\r\n${last.join('')}\r\n`,
    })),
  },
)
const methods = fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'OPTIONS', 'DELETE', 'PATCH', 'M-SEARCH', 'PURGE', 'get')
const target = fc.constantFrom(
  '/',
  '/a/b?c=d',
  '/%2F',
  '/\xe4',
  '/a|b{c}"',
  '*',
  'http://b/x',
  'http://b?x',
  'HTTP://b',
  '//b',
  '/a#b',
  'a',
  '/\\',
)
const version = fc.constantFrom(
  ...Array<string>(12).fill('HTTP/1.1'),
  'HTTP/1.0',
  'HTTP/1.0',
  'HTTP/2.0',
  'HTTP/1.2',
  'http/1.1',
)
const hosts = fc.constantFrom(
  ...Array<string>(10).fill('Host: a'),
  'host: b:80',
  'Host: [::1]',
  'Host:',
  'Host: a,b',
  '',
)
const requests = fc
  .array(
    fc
      .tuple(methods, target, version, hosts, fc.array(field, { maxLength: 3 }), body)
      .map(([method, path, http, host, fields, { fields: framing, text }]) =>
        [`${method} ${path} ${http}`, host, ...fields, ...framing]
          .filter((line) => line !== '')
          .map((line) => `${line}\r\n`)
          .join('')
          .concat('\r\n', text),
      ),
    { minLength: 1, maxLength: 3 },
  )
  .map((list) => list.join(''))
const statusLine = fc.constantFrom(
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200 OK',
  'HTTP/1.1 200',
  'HTTP/1.0 200 OK',
  'HTTP/1.1 204 No Content',
  'HTTP/1.1 304 Not Modified',
  'HTTP/1.1 103 E',
  'HTTP/1.1 500 \xe4',
  'HTTP/1.1 99 X',
  'HTTP/2.0 200 OK',
  'HTTP/1.1 1000 X',
)
const responses = fc
  .array(
    fc.tuple(statusLine, fc.array(field, { maxLength: 3 }), body).map(([line, fields, { fields: framing, text }]) =>
      [line, ...fields, ...framing]
        .map((one) => `${one}\r\n`)
        .join('')
        .concat('\r\n', text),
    ),
    { minLength: 1, maxLength: 2 },
  )
  .map((list) => list.join(''))
/** What breaks parsers, put in, put over or cut out anywhere. */
const mutation = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  cut: fc.constantFrom(0, 0, 0, 1, 1, 2, 4),
  put: fc.constantFrom(
    '',
    '',
    '\r',
    '\n',
    '\r\n',
    '\r\n\r\n',
    ' ',
    '\t',
    ':',
    ',',
    ';',
    '\0',
    '\x0b',
    '\x7f',
    '\x80',
    '0',
    '1',
    'f',
    'Content-Length: 1\r\n',
    'Transfer-Encoding: chunked\r\n',
    '\r\n X: a',
    'GET / HTTP/1.1\r\n',
  ),
})
const mutate = (text: string, mutations: { at: number; cut: number; put: string }[]) =>
  mutations.reduce((now, { at, cut, put }) => {
    const from = Math.floor(at * now.length)
    return now.slice(0, from) + put + now.slice(from + cut)
  }, text)
const mutations = fc.array(mutation, { maxLength: 3 })
export const mutatedRequests = fc.tuple(requests, mutations).map(([text, list]) => mutate(text, list))
export const mutatedResponses = fc.tuple(responses, mutations).map(([text, list]) => mutate(text, list))
