import { expect, test } from 'vitest'
import { type FirstBytes, judgeFirstBytes } from './http-preface.ts'

const PREFACE = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'
const CASES: readonly (readonly [bytes: string, verdict: FirstBytes])[] = [
  ['', 'more'],
  ['G', 'more'],
  ['GET /', 'more'],
  ['GET / HTTP/1.1\r\n', 'http/1.1'],
  ['M-SEARCH * HTTP/1.1\r\n', 'http/1.1'],
  ['GET / HTTP/1.1\n', 'http/1.1'],
  ['GET /\r\n', 'opaque'],
  ['SET key value\r\n', 'opaque'],
  ['*1\r\n$4\r\nPING\r\n', 'opaque'],
  ['get / HTTP/1.1\r\n', 'opaque'],
  ['EHLO mail.example\r\n', 'opaque'],
  ['P', 'more'],
  ['PRI * HTTP/2.0\r\n', 'more'],
  [PREFACE, 'h2'],
  [`${PREFACE}\0\0\0`, 'h2'],
  ['POST / HTTP/1.1\r\n', 'http/1.1'],
  ['\x16', 'more'],
  ['\x16\x03\x01\x02\x00\x01', 'tls'],
  ['\x16\x03\x01\x02\x00\x02', 'opaque'],
  ['\x16\x04', 'opaque'],
  ['\0\0\0\x17', 'opaque'],
  ['A'.repeat(40), 'opaque'],
  [`GET /${'a'.repeat(9000)}`, 'opaque'],
]

test.each(CASES)('%j is judged %s', (bytes, verdict) => {
  expect(judgeFirstBytes(Buffer.from(bytes, 'latin1'))).toBe(verdict)
})
