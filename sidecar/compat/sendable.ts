// What Node would write without a question, or throw on: heads that no message of HTTP/1.1 may have. Whoever hands one over has a bug.
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { isAuthority } from '#flow/authority.ts'
import { consistsOf, METHOD, TARGET } from '#flow/characters.ts'
import { sameName } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'

const STATUS = /^[1-9]\d\d$/

export function isRequest(fields: Fields, end: boolean): boolean {
  const [, method = '', , , , authority = '', , path = ''] = fields
  const isMethod = method !== '' && method !== 'CONNECT' && consistsOf(method, METHOD)
  return isMethod && path !== '' && consistsOf(path, TARGET) && isAuthority(authority) && areFields(fields, end)
}

export function isAnswer(fields: Fields, end: boolean): boolean {
  return STATUS.test(fields[fields.indexOf(':status') + 1] ?? '') && areFields(fields, end)
}

/** Spellings that CGI and WSGI read as Content-Length and Transfer-Encoding: a second framing. */
export function isMisread(lower: string): boolean {
  return lower === 'content_length' || lower === 'transfer_encoding'
}

/** At most one length, and none that a body without end would owe. */
function areFields(fields: Fields, end: boolean): boolean {
  let lengths = 0
  try {
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      const value = fields[i + 1] as string
      if (name.charCodeAt(0) === 0x3a) continue
      if (isMisread(name.toLowerCase())) return false
      validateHeaderName(name)
      validateHeaderValue(name, value)
      if (
        sameName(name, 'content-length') &&
        (!/^\d{1,16}$/.test(value) || ++lengths > 1 || (end && Number(value) > 0))
      )
        return false
    }
    return true
  } catch {
    return false
  }
}
