// A field section as it comes out of HPACK becomes a list of fields, or a verdict (RFC 9113 section 8). Reused for all of a connection.
import { isAuthority } from '#flow/authority.ts'
import { consistsOf, METHOD, TARGET } from '#flow/characters.ts'
import type { FaultCode } from '#flow/error.ts'
import { type Fields, NEVER_INDEXED } from '#flow/stream.ts'
import { flood } from './faults.ts'
import type { FieldSink } from './hpack/decode.ts'
import {
  FIELD_LIMIT,
  PATH_LIMIT_BYTES,
  PEER_FIELDS,
  PEER_SECTION_BYTES,
  SECTION_LIMIT_BYTES,
  UNPACKED_LIMIT_BYTES,
} from './limits.ts'

export type SectionKind = 'request' | 'response' | 'trailers'

const COLON = 0x3a
/** Our SETTINGS do not offer it, so that clients fall back to a connection of HTTP/1.1 by themselves; without the offer it is malformed. */
const EXTENDED = 'extended CONNECT (RFC 8441), which SETTINGS do not offer: open a WebSocket by HTTP/1.1'
const NO_FIELDS: Fields = []
const OF_HOP = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
])

export class Section implements FieldSink {
  fields: Fields = NO_FIELDS
  /** The first rule that was broken; null: none. */
  fault: string | null = null
  code: FaultCode = 'BAD_REQUEST'
  /** -1: none was given. */
  contentLength = -1
  method = ''
  status = 0
  sizeBytes = 0
  readonly #fieldLimit: number
  readonly #limitBytes: number
  #kind: SectionKind = 'request'
  #count = 0
  #hasRegular = false
  #scheme = ''
  #authority = ''
  #path = ''
  #hasAuthority = false
  /** :protocol has come (RFC 8441). */
  #isExtended = false
  #host: string | null = null
  #cookieAt = -1
  #secrets: string[] | null = null

  constructor(isOfPeer = false) {
    this.#fieldLimit = FIELD_LIMIT + (isOfPeer ? PEER_FIELDS : 0)
    this.#limitBytes = SECTION_LIMIT_BYTES + (isOfPeer ? PEER_SECTION_BYTES : 0)
  }

  begin(kind: SectionKind): void {
    this.#kind = kind
    // The places of the pseudo-fields, which are filled in at the end.
    this.fields = kind === 'request' ? ['', '', '', '', '', '', '', ''] : kind === 'response' ? ['', ''] : []
    this.fault = null
    this.code = 'BAD_REQUEST'
    this.contentLength = -1
    this.status = this.sizeBytes = this.#count = 0
    this.method = this.#scheme = this.#authority = this.#path = ''
    this.#hasRegular = this.#hasAuthority = this.#isExtended = false
    this.#host = this.#secrets = null
    this.#cookieAt = -1
  }

  field(name: string, value: string, isSound: boolean, isNeverIndexed: boolean): void {
    this.sizeBytes += name.length + value.length + 32
    // What exceeds the limits is read for the tables' sake and not kept; but a frame of 16 KiB can unpack to 60 MB of fields.
    if (this.sizeBytes > UNPACKED_LIMIT_BYTES) throw flood('a head that unpacks to more than 1 MiB')
    if (++this.#count > this.#fieldLimit) return this.refuse('more than 100 fields', 'HEADER_TOO_LARGE')
    if (this.sizeBytes > this.#limitBytes) return this.refuse('a head beyond 60 KiB', 'HEADER_TOO_LARGE')
    if (!isSound) return this.refuse('a forbidden character in a field')
    if (isNeverIndexed) this.#noteSecret(name)
    if (name.charCodeAt(0) === COLON) return this.#pseudo(name, value)
    this.#hasRegular = true
    if (this.#isKept(name, value)) this.fields.push(name, value)
  }

  /** Returns whether the section is good. Its list then has the pseudo-fields in their usual places. */
  finish(): boolean {
    if (this.#kind === 'request') this.#finishRequest()
    else if (this.#kind === 'response') {
      if (this.status === 0) this.refuse('no :status')
      this.fields[0] = ':status'
      this.fields[1] = String(this.status)
    }
    if (this.fault !== null) return false
    if (this.#secrets !== null) {
      const behindPseudo = this.#kind === 'request' ? 8 : this.#kind === 'response' ? 2 : 0
      this.fields.splice(behindPseudo, 0, NEVER_INDEXED, this.#secrets.join(','))
    }
    return true
  }

  /** Hands the list over: what a connection kept would pin the text of its last head. */
  release(): Fields {
    const { fields } = this
    this.fields = NO_FIELDS
    return fields
  }

  refuse(detail: string, code: FaultCode = 'BAD_REQUEST'): void {
    if (this.fault !== null) return
    this.fault = detail
    this.code = code
  }

  #noteSecret(name: string): void {
    this.#secrets ??= []
    if (!this.#secrets.includes(name)) this.#secrets.push(name)
  }

  // ---- pseudo-fields (section 8.3)

  #pseudo(name: string, value: string): void {
    if (this.#hasRegular) return this.refuse('a pseudo-field behind a field')
    if (this.#kind === 'request') this.#requestPseudo(name, value)
    else if (this.#kind === 'response' && name === ':status') this.#noteStatus(value)
    else this.refuse('a pseudo-field that does not belong here')
  }

  #requestPseudo(name: string, value: string): void {
    switch (name) {
      case ':method':
        if (this.method !== '' || value === '' || !consistsOf(value, METHOD)) this.refuse('a bad :method')
        this.method = value
        return
      case ':scheme':
        if (this.#scheme !== '' || (value !== 'http' && value !== 'https')) this.refuse('a bad :scheme')
        this.#scheme = value
        return
      case ':authority':
        if (this.#hasAuthority || !isAuthority(value)) this.refuse('a bad :authority')
        this.#hasAuthority = true
        this.#authority = value
        return
      case ':path':
        if (this.#path !== '' || value === '' || !consistsOf(value, TARGET)) this.refuse('a bad :path')
        this.#path = value
        return
      case ':protocol':
        this.#isExtended = true
        return
      default:
        this.refuse('a pseudo-field that does not belong here')
    }
  }

  #noteStatus(value: string): void {
    if (this.status !== 0 || !/^[1-9]\d\d$/.test(value)) this.refuse('a bad :status')
    else if (value === '101') this.refuse('a 101, which HTTP/2 has not')
    this.status = Number(value)
  }

  #finishRequest(): void {
    const { method } = this
    if (this.#isExtended) this.refuse(EXTENDED)
    else if (method === 'CONNECT') this.refuse('CONNECT', 'CONNECT_REFUSED')
    else if (method === '' || this.#scheme === '' || this.#path === '') this.refuse('a pseudo-field is missing')
    else if (this.#path.charCodeAt(0) !== 0x2f && !(this.#path === '*' && method === 'OPTIONS'))
      this.refuse('a :path without a slash')
    else if (this.#path.length > PATH_LIMIT_BYTES) this.refuse('a :path beyond 32 KiB', 'URI_TOO_LONG')
    this.#settleHost()
    const { fields } = this
    fields[0] = ':method'
    fields[1] = method
    fields[2] = ':scheme'
    fields[3] = this.#scheme
    fields[4] = ':authority'
    fields[5] = this.#authority
    fields[6] = ':path'
    fields[7] = this.#path
  }

  /** Section 8.3.1: Host stands in for :authority, and must not say otherwise. */
  #settleHost(): void {
    if (this.#host === null) return
    if (!this.#hasAuthority) {
      if (!isAuthority(this.#host)) this.refuse('a Host that is not a host and port')
      this.#authority = this.#host
    } else if (this.#host !== this.#authority) this.refuse('a Host other than :authority')
  }

  // ---- fields

  #isKept(name: string, value: string): boolean {
    switch (name.length) {
      case 2:
        if (name === 'te' && (value !== 'trailers' || this.#kind === 'trailers')) this.refuse('TE other than trailers')
        return true
      case 4:
        return name !== 'host' || this.#noteHost(value)
      case 6:
        return name !== 'cookie' || this.#noteCookie(value)
      case 14:
        this.#refuseOfHop(name)
        return name !== 'content-length' || this.#noteLength(value)
      case 7:
      case 10:
      case 16:
      case 17:
        this.#refuseOfHop(name)
        return this.#kind !== 'trailers' || name !== 'trailer'
      default:
        return true
    }
  }

  /** RFC 9113 section 8.2.2; and spellings that CGI and WSGI read as Content-Length and Transfer-Encoding. */
  #refuseOfHop(name: string): void {
    if (OF_HOP.has(name)) this.refuse('a field of HTTP/1.1 connections')
    else if (name === 'content_length' || name === 'transfer_encoding')
      this.refuse('a field that some servers read as framing')
  }

  #noteHost(value: string): boolean {
    if (this.#kind === 'response') return true
    if (this.#kind === 'trailers' || this.#host !== null) this.refuse('a Host that must not be')
    this.#host = value
    return false
  }

  /** Section 8.2.3: crumbs are joined, as whoever is not HTTP/2 must see them. */
  #noteCookie(value: string): boolean {
    if (this.#kind !== 'request') return true
    if (this.#cookieAt < 0) {
      this.#cookieAt = this.fields.length
      return true
    }
    this.fields[this.#cookieAt + 1] += `; ${value}`
    return false
  }

  #noteLength(value: string): boolean {
    if (this.#kind === 'trailers') this.refuse('a framing or routing field in the trailers')
    else if (this.contentLength >= 0) this.refuse('more than one Content-Length')
    else if (!/^\d{1,16}$/.test(value) || Number(value) > Number.MAX_SAFE_INTEGER)
      this.refuse('a Content-Length that is not a number')
    else this.contentLength = Number(value)
    return true
  }
}
