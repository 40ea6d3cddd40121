// Field lines of a head that is written. Nothing that would break a line or say a framing of its own gets through, whoever
// put it there: framing and Connection are written by the codec alone, from facts.

import { consistsOf, TOKEN, VALUE } from '#flow/characters.ts'
import { Unsendable } from '#flow/error.ts'
import { type Fields, NEVER_INDEXED } from '#flow/stream.ts'

/** Reused: the answer of the last write() call. */
export class FieldLines {
  /** -1: none was given, or it does not apply. */
  contentLength = -1
  /** The fields hold an Upgrade, so Connection must name it: that is how an upgrade is recognised. */
  hasUpgrade = false

  /** All but the pseudo-fields; Content-Length only where the message may have one. */
  write(fields: Fields, mayHaveLength: boolean): string {
    this.contentLength = -1
    this.hasUpgrade = false
    let text = ''
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      const value = fields[i + 1] as string
      if (name.charCodeAt(0) === 0x3a) continue
      if (this.#isOurs(name, value, mayHaveLength)) continue
      text += fieldLine(name, value)
    }
    return mayHaveLength && this.contentLength >= 0 ? `${text}Content-Length: ${this.contentLength}\r\n` : text
  }

  #isOurs(name: string, value: string, mayHaveLength: boolean): boolean {
    switch (name.length) {
      case 4:
        return name.toLowerCase() === 'host'
      case 7:
        if (name.toLowerCase() === 'upgrade') this.hasUpgrade = true
        return false
      case 10: {
        const lower = name.toLowerCase()
        return lower === 'connection' || lower === 'keep-alive'
      }
      case 14:
        return name.toLowerCase() === 'content-length' && this.#noteLength(value, mayHaveLength)
      case 17:
        return name.toLowerCase() === 'transfer-encoding'
      default:
        return false
    }
  }

  #noteLength(value: string, mayHaveLength: boolean): true {
    if (!mayHaveLength) return true
    if (this.contentLength >= 0) throw new Unsendable('more than one Content-Length')
    if (!/^\d{1,16}$/.test(value)) throw new Unsendable('a Content-Length that is not a number')
    this.contentLength = Number(value)
    return true
  }
}

export function trailerLines(fields: Fields): string {
  let text = ''
  for (let i = 0; i < fields.length; i += 2) {
    if (fields[i] !== NEVER_INDEXED) text += fieldLine(fields[i] as string, fields[i + 1] as string)
  }
  return text
}

function fieldLine(name: string, value: string): string {
  if (name === '' || !consistsOf(name, TOKEN)) throw new Unsendable('a field name that HTTP/1.1 cannot carry')
  if (!consistsOf(value, VALUE)) throw new Unsendable('a field value that HTTP/1.1 cannot carry')
  return `${name}: ${value}\r\n`
}
