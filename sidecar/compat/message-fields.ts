// Fields of messages as node:http has them, raw in their order and case, and as it shall write them.
import { consistsOf, VALUE } from '#flow/characters.ts'
import { sameName } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'

/** RFC 9110 section 6.5.1: those a sender must not put into trailers end the message, those of one hop do not travel. */
const REFUSED = new Set(['content-length', 'content_length', 'host', 'transfer-encoding', 'transfer_encoding'])
const DROPPED = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'http2-settings'])

/** null: the message breaks the rules. */
export function trailersOf(raw: readonly string[]): Fields | null {
  const trailers: Fields = []
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    const lower = name.toLowerCase()
    const value = raw[i + 1] as string
    if (REFUSED.has(lower) || !consistsOf(value, VALUE)) return null
    if (!DROPPED.has(lower)) trailers.push(name, value)
  }
  return trailers
}

export interface Unframed {
  readonly fields: string[]
  /** As declared; undefined: not at all. */
  readonly length: string | undefined
}

/** Without pseudo-fields, framing and Connection, which are written by what is sent. */
export function unframed(fields: Fields): Unframed {
  const kept: string[] = []
  let length: string | undefined
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    if (name.charCodeAt(0) === 0x3a || sameName(name, 'host')) continue
    if (sameName(name, 'content-length')) length = value
    else if (!sameName(name, 'transfer-encoding') && !sameName(name, 'connection') && !sameName(name, 'keep-alive'))
      kept.push(name, value)
  }
  return { fields: kept, length }
}

/** RFC 9112 section 6.3, whatever length the head declares. */
export function isWithoutBody(status: number, method: string | undefined): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

/** Of an answer, as it came: its framing is told by what follows, and RFC 9110 section 8.6 allows some no length. */
export function answerHead(status: number, raw: readonly string[]): Fields {
  const mayHaveLength = status >= 200 && status !== 204
  const fields: Fields = [':status', String(status)]
  for (let i = 0; i < raw.length; i += 2) {
    const name = raw[i] as string
    if (sameName(name, 'transfer-encoding') || (!mayHaveLength && sameName(name, 'content-length'))) continue
    fields.push(name, raw[i + 1] as string)
  }
  return fields
}

/** Without pseudo-fields, and what is only for HTTP/2. */
export function pairsOf(fields: Fields): [string, string][] {
  const pairs: [string, string][] = []
  for (let i = 0; i < fields.length; i += 2)
    if ((fields[i] as string).charCodeAt(0) !== 0x3a) pairs.push([fields[i] as string, fields[i + 1] as string])
  return pairs
}
