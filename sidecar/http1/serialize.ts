// Heads as they go out. Content-Length or Transfer-Encoding is written from facts, never both; the body writer is set to match.
import { STATUS_CODES } from 'node:http'
import { isAuthority } from '#flow/authority.ts'
import { consistsOf, METHOD } from '#flow/characters.ts'
import { Unsendable } from '#flow/error.ts'
import type { Fields } from '#flow/stream.ts'
import type { BodyWriter } from './body-writer.ts'
import type { FieldLines } from './field-lines.ts'
import { isTarget } from './request-head.ts'

/** What a connection keeps to write its messages with. */
export interface Pen {
  readonly lines: FieldLines
  readonly body: BodyWriter
}

/**
 * The head of a request. Origin-form and Host come from :path and :authority. `Connection: Upgrade` is written when the
 * fields hold an Upgrade.
 */
export function requestHead(pen: Pen, fields: Fields, end: boolean): string {
  const [, method = '', , , , authority = '', , path = ''] = pseudoFields(fields)
  if (method === '' || method === 'CONNECT' || !consistsOf(method, METHOD))
    throw new Unsendable('a method that cannot be sent')
  if (!isTarget(path)) throw new Unsendable('a path that cannot be sent')
  if (!isAuthority(authority)) throw new Unsendable('an authority that cannot be sent')
  let text = `${method} ${path} HTTP/1.1\r\nHost: ${authority}\r\n`
  const { lines } = pen
  text += lines.write(fields, true)
  if (lines.hasUpgrade) text += 'Connection: Upgrade\r\n'
  const length = lines.contentLength
  if (length >= 0) {
    if (end && length > 0) throw new Unsendable('a Content-Length without its body')
    pen.body.begin('length', length)
  } else if (!end) {
    pen.body.begin('chunked')
    text += 'Transfer-Encoding: chunked\r\n'
  } else {
    pen.body.begin('none')
    // RFC 9110 section 8.6: methods that expect a body say that there is none.
    if (method === 'POST' || method === 'PUT' || method === 'PATCH') text += 'Content-Length: 0\r\n'
  }
  return `${text}\r\n`
}

/** In the order of our own parser; anything else costs a search. */
function pseudoFields(fields: Fields): readonly string[] {
  if (fields[0] === ':method' && fields[4] === ':authority' && fields[6] === ':path') return fields
  const find = (name: string) => fields[fields.indexOf(name) + 1] ?? ''
  return ['', find(':method'), '', '', '', fields.includes(':authority') ? find(':authority') : '', '', find(':path')]
}

export interface ResponseFacts {
  readonly status: number
  /** The answer to a HEAD has the fields of a GET's, and no body. */
  readonly isToHead: boolean
  /** Minor version of the request: 0 knows no chunked coding and no keep-alive that is not said. */
  readonly minor: number
  readonly closes: boolean
}

/** The head of a final response. Returns whether its body ends only with the connection in `endsWithClose`. */
export function responseHead(
  pen: Pen,
  fields: Fields,
  end: boolean,
  facts: ResponseFacts,
): { text: string; endsWithClose: boolean } {
  const { status, isToHead, minor } = facts
  const { lines, body } = pen
  let text = statusLine(status) + lines.write(fields, status !== 204)
  const length = lines.contentLength
  let endsWithClose = false
  if (isToHead || status === 204 || status === 304) body.begin('none')
  else if (length >= 0) {
    if (end && length > 0) throw new Unsendable('a Content-Length without its body')
    body.begin('length', length)
  } else if (end) {
    body.begin('none')
    text += 'Content-Length: 0\r\n'
  } else if (minor === 1) {
    body.begin('chunked')
    text += 'Transfer-Encoding: chunked\r\n'
  } else {
    body.begin('rest')
    endsWithClose = true
  }
  const connection = connectionOf(facts.closes || endsWithClose, minor, lines.hasUpgrade)
  return { text: `${text}${connection}\r\n`, endsWithClose }
}

function connectionOf(closes: boolean, minor: number, hasUpgrade: boolean): string {
  if (hasUpgrade) return closes ? 'Connection: Upgrade, close\r\n' : 'Connection: Upgrade\r\n'
  if (closes) return 'Connection: close\r\n'
  return minor === 0 ? 'Connection: keep-alive\r\n' : ''
}

/** A 1xx head: no framing, and 101 names its Upgrade. */
export function interimHead(pen: Pen, fields: Fields, status: number): string {
  const text = statusLine(status) + pen.lines.write(fields, false)
  return status === 101 ? `${text}Connection: Upgrade\r\n\r\n` : `${text}\r\n`
}

const statusLines = new Map<number, string>()

function statusLine(status: number): string {
  let line = statusLines.get(status)
  if (line === undefined) {
    if (!Number.isInteger(status) || status < 100 || status > 999) throw new Unsendable('a status that cannot be sent')
    line = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n`
    statusLines.set(status, line)
  }
  return line
}
