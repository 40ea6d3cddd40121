// What the fields of a head say about framing and the connection. Shared by requests and responses; any doubt is an error.
import { removeField } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'
import { malformed } from './malformed.ts'

const NONE: Fields = []

export class FieldFacts {
  fields: Fields = NONE
  /** -1: none was given. */
  contentLength = -1
  isChunked = false
  saysClose = false
  saysKeepAlive = false
  expectsContinue = false
  hasUpgrade = false
  #namesUpgrade = false

  begin(fields: Fields): void {
    this.fields = fields
    this.contentLength = -1
    this.isChunked = this.saysClose = this.saysKeepAlive = this.expectsContinue = false
    this.hasUpgrade = this.#namesUpgrade = false
  }

  /** Hands the list over. A connection that kept it would pin its last head's text while it is idle. */
  release(): Fields {
    const { fields } = this
    this.fields = NONE
    return fields
  }

  /** Returns whether the field stays in the list: Transfer-Encoding is the codec's own and does not. */
  note(name: string, value: string): boolean {
    switch (name.length) {
      case 6:
        if (name.toLowerCase() === 'expect') this.expectsContinue = value.toLowerCase() === '100-continue'
        return true
      case 7:
        return name.toLowerCase() !== 'upgrade' || this.#noteUpgrade(value)
      case 10:
        if (name.toLowerCase() === 'connection') this.#noteConnection(value)
        return true
      case 14:
        return this.#noteLength(name.toLowerCase(), value)
      case 17:
        return this.#noteCoding(name.toLowerCase(), value)
      default:
        return true
    }
  }

  /** `minor` is that of the HTTP version. RFC 9112 section 6.1 and 6.3: a message has one framing or is refused. */
  finish(minor: number): void {
    if (this.isChunked && this.contentLength >= 0) throw malformed('Content-Length with Transfer-Encoding')
    if (this.isChunked && minor === 0) throw malformed('Transfer-Encoding on HTTP/1.0')
    if (!this.hasUpgrade) return
    // RFC 9110 section 7.8: Upgrade counts only when Connection names it, and never on HTTP/1.0.
    if (minor === 0 || !this.#namesUpgrade) {
      this.hasUpgrade = false
      removeField(this.fields, 'upgrade')
    }
  }

  #noteLength(lower: string, value: string): boolean {
    // Belongs to an upgrade to h2c, which never passes (RFC 9113 section 3.1 deprecates it).
    if (lower === 'http2-settings') return false
    if (lower === 'content_length') throw malformed('Content_Length, which some servers read as Content-Length')
    if (lower !== 'content-length') return true
    if (this.contentLength >= 0) throw malformed('more than one Content-Length')
    this.contentLength = parseLength(value)
    return true
  }

  #noteCoding(lower: string, value: string): boolean {
    if (lower === 'transfer_encoding')
      throw malformed('Transfer_Encoding, which some servers read as Transfer-Encoding')
    if (lower !== 'transfer-encoding') return true
    if (this.isChunked) throw malformed('more than one Transfer-Encoding')
    if (value.toLowerCase() !== 'chunked') throw malformed('a Transfer-Encoding other than chunked')
    this.isChunked = true
    return false
  }

  #noteConnection(value: string): void {
    for (const item of value.toLowerCase().split(',')) {
      const option = item.trim()
      if (option === 'close') this.saysClose = true
      else if (option === 'keep-alive') this.saysKeepAlive = true
      else if (option === 'upgrade') this.#namesUpgrade = true
    }
  }

  /** Keeps every protocol but h2c: a server that took it would speak HTTP/2 past every rule of the mesh. */
  #noteUpgrade(value: string): boolean {
    const isKept = (item: string) => !/^\s*h2c?\s*(?:\/|$)/i.test(item)
    const kept = value.split(',').filter((item) => item.trim() !== '' && isKept(item))
    if (kept.length === 0) return false
    this.hasUpgrade = true
    this.fields.push('Upgrade', kept.join(',').trim())
    return false
  }
}

/** 1*DIGIT, within what a number holds exactly: no sign, blank, list or other base. */
function parseLength(value: string): number {
  if (value.length === 0 || value.length > 16) throw malformed('a Content-Length that is not a number')
  let length = 0
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) throw malformed('a Content-Length that is not a number')
    length = length * 10 + digit
  }
  if (length > Number.MAX_SAFE_INTEGER) throw malformed('a Content-Length beyond all bounds')
  return length
}
