// A request of node:http as the flat fields of a stream. Node is lenient about Host and targets: what goes on has exactly one of each.
import type { IncomingMessage } from 'node:http'
import { isAuthority } from '#flow/authority.ts'
import { consistsOf, TARGET } from '#flow/characters.ts'
import { fieldValue } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'
import { Refusal } from './refusal.ts'
import { isMisread } from './sendable.ts'

const CODINGS = /^(identity[ \t]*,[ \t]*)?chunked$/i
const ABSOLUTE = /^(https?):\/\/([^/?#@\s]+)([^#]*)$/i
export const FIELD_LIMIT = 100

/** Throws a Refusal. Node takes the first of several Hosts; so do we, and the others do not travel. */
export function requestFields(request: IncomingMessage, isUpgrade: boolean): Fields {
  const { rawHeaders, method = '', url = '' } = request
  refuseUnsafe(request)
  const target = targetOf(method, url)
  const fields: Fields = [':method', method, ':scheme', target.scheme, ':authority', '', ':path', target.path]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    if (isMisread(name.toLowerCase())) throw new Refusal('BAD_REQUEST', 'a field that some servers read as framing')
    const value = travelling(name.toLowerCase(), rawHeaders[i + 1] as string, isUpgrade)
    if (value !== '') fields.push(name, value ?? '')
  }
  const authority = target.authority ?? fieldValue(rawHeaders, 'host') ?? ''
  if (!isAuthority(authority)) throw new Refusal('BAD_REQUEST', 'a Host that is not a host and port')
  fields[5] = authority
  return fields
}

const NOWHERE = new Set(['host', 'transfer-encoding', 'http2-settings'])

/** What a field says further on; undefined: nothing, and yet it is there; empty: it stays here. */
function travelling(lower: string, value: string, isUpgrade: boolean): string | undefined {
  if (NOWHERE.has(lower)) return ''
  if (lower === 'upgrade') return isUpgrade ? withoutH2c(value) : ''
  return value === '' ? undefined : value
}

/** What Node lets through and nobody behind us could read as it was meant. */
function refuseUnsafe({ rawHeaders, httpVersion, headers }: IncomingMessage): void {
  if (rawHeaders.length > 2 * FIELD_LIMIT) throw new Refusal('HEADER_TOO_LARGE', 'more than 100 fields')
  if (httpVersion !== '1.1' && httpVersion !== '1.0')
    throw new Refusal('HTTP_VERSION', 'a version other than 1.0 and 1.1')
  const coding = headers['transfer-encoding'] ?? 'chunked'
  if (!CODINGS.test(coding)) throw new Refusal('BAD_REQUEST', 'a transfer coding other than chunked')
  const length = headers['content-length'] ?? '0'
  if (!/^\d{1,15}$/.test(length)) throw new Refusal('BAD_REQUEST', 'a Content-Length that a number cannot hold')
}

/** HTTP/2 by Upgrade would pass by every rule of the requests in it (RFC 9113 section 3.1). */
const withoutH2c = (value: string): string =>
  value
    .split(',')
    .map((protocol) => protocol.trim())
    .filter((protocol) => protocol.toLowerCase() !== 'h2c')
    .join(', ')

/** A request that Node shall hand over as an upgrade: one that asks by the rules, and has no body. */
export function isUpgrade(request: IncomingMessage): boolean {
  const { headers, httpVersion } = request
  return httpVersion === '1.1' && withoutH2c(headers.upgrade ?? '') !== '' && !hasBody(request)
}

interface Target {
  readonly scheme: string
  /** Undefined: that of Host. */
  readonly authority?: string
  readonly path: string
}

function targetOf(method: string, url: string): Target {
  // A fragment among them: whoever reads it as part of the path sees another path than who does not.
  if (!consistsOf(url, TARGET)) throw new Refusal('BAD_REQUEST', 'a target with a character that it must not have')
  if (url.startsWith('/') || (url === '*' && method === 'OPTIONS')) return { scheme: 'http', path: url }
  const [, scheme, authority, rest = ''] = ABSOLUTE.exec(url) ?? []
  if (scheme === undefined || authority === undefined) throw new Refusal('BAD_REQUEST', 'a target of no known form')
  const path = rest.startsWith('/') ? rest : `/${rest}`
  return { scheme: scheme.toLowerCase(), authority, path: rest === '' && method === 'OPTIONS' ? '*' : path }
}

/** Whether a message with these fields has a body (RFC 9112 section 6.3). */
export function hasBody(request: IncomingMessage): boolean {
  const { headers } = request
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
