// Trailers of a chunked body (RFC 9110 section 6.5): kept as they are, but for what must never stand there.
import type { Fields } from '#flow/stream.ts'
import { malformed } from './malformed.ts'
import type { HeadShape } from './parse.ts'

/** A server that merged these into its head would frame or route the message anew. */
const REFUSED = new Set(['content-length', 'content_length', 'transfer-encoding', 'transfer_encoding', 'host'])
/** They speak of one hop only. */
const DROPPED = new Set(['connection', 'keep-alive', 'proxy-connection', 'te', 'trailer', 'upgrade', 'http2-settings'])

export class Trailers implements HeadShape {
  readonly hasStartLine = false
  fields: Fields = []

  begin(): void {
    this.fields = []
  }

  startLine(): number {
    throw new Error('trailers have no start line')
  }

  field(name: string, value: string): void {
    const lower = name.toLowerCase()
    if (REFUSED.has(lower)) throw malformed('a framing or routing field in the trailers')
    if (!DROPPED.has(lower)) this.fields.push(name, value)
  }

  finish(): void {}
}
