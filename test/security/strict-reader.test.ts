// The judge is judged: it sees what others miss, and takes what is plain.
import { expect, test } from 'vitest'
import { readStrictly } from './strict-reader.ts'

const GET = 'GET / HTTP/1.1\r\nHost: a\r\n'
const POST = 'POST /p HTTP/1.1\r\nHost: a\r\n'

test('requests that follow one another are read with their bodies, and what is behind them is the rest', () => {
  const text =
    `${GET}\r\n${POST}Content-Length: 3\r\n\r\nabc` +
    `${POST}Transfer-Encoding: chunked\r\n\r\n3;x=y\r\nabc\r\n0\r\nT: 1\r\n\r\nGET /ne`
  const { requests, rest, fault } = readStrictly(text)

  expect(requests.map(({ method, target, body }) => [method, target, body])).toEqual([
    ['GET', '/', ''],
    ['POST', '/p', 'abc'],
    ['POST', '/p', 'abc'],
  ])
  expect([rest, fault]).toEqual(['GET /ne', null])
})

test.each([
  ['two lengths', `${POST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na`],
  ['a length beside chunks', `${POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['a length with a sign', `${POST}Content-Length: +1\r\n\r\na`],
  ['a length that CGI reads', `${POST}Content_Length: 1\r\n\r\na`],
  ['a coding that CGI reads', `${POST}Transfer_Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['another coding', `${POST}Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n`],
  ['chunks on 1.0', `${POST.replace('1.1', '1.0')}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n`],
  ['two Hosts', `${GET}Host: b\r\n\r\n`],
  ['no Host', 'GET / HTTP/1.1\r\n\r\n'],
  ['a fragment', 'GET /#a HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a blank in the target', 'GET /a b HTTP/1.1\r\nHost: a\r\n\r\n'],
  ['a bare LF', `${GET}X: a\nY: b\r\n\r\n`],
  ['a bare CR', `${GET}X: a\rY\r\n\r\n`],
  ['NUL', `${GET}X: a\0\r\n\r\n`],
  ['a blank before the colon', `${GET}X : a\r\n\r\n`],
  ['a folded line', `${GET}X: a\r\n b\r\n\r\n`],
  ['a chunk without a size', `${POST}Transfer-Encoding: chunked\r\n\r\n\r\n`],
  ['a chunk that is longer than it says', `${POST}Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n`],
  ['a length in the trailers', `${POST}Transfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 1\r\n\r\n`],
  ['an empty line first', `\r\n${GET}\r\n`],
  ['what is left of a body', `abc${GET}\r\n`.replace('abcGET', 'abc\r\nGET')],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
])('%s is a fault', (_name, text) => {
  const { requests, fault } = readStrictly(text)

  expect(requests).toEqual([])
  expect(fault).not.toBe(null)
})
