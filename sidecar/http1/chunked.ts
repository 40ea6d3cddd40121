// Decodes the chunked coding (RFC 9112 section 7.1), byte for byte where a line may be cut anywhere, in one step for data.

import { CR, LF, VALUE } from '#flow/characters.ts'
import type { Fields } from '#flow/stream.ts'
import { CHUNK_EXTENSION_LIMIT_BYTES } from './limits.ts'
import { malformed } from './malformed.ts'
import { HeadReader } from './parse.ts'
import { Trailers } from './trailers.ts'

/** Told what a body holds. The bytes are those that were pushed. */
export interface BodySink {
  onBody(bytes: Buffer, from: number, to: number, end: boolean): void
  onBodyTrailers(fields: Fields): void
}

const AT_SIZE = 0
const IN_SIZE = 1
const IN_EXTENSION = 2
const AT_SIZE_LF = 3
const IN_DATA = 4
const AT_DATA_CR = 5
const AT_DATA_LF = 6
const IN_TRAILERS = 7
const DONE = 8

// Thirteen digits of 4 bits stay within what a number holds exactly.
const SIZE_LIMIT = 2 ** 48
const DIGITS_LIMIT = 16
const SEMICOLON = 0x3b
const EXTENSION =
  /^(?:;[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:=(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+|"(?:[\t !#-[\]-~\x80-\xff]|\\[\t -~\x80-\xff])*"))?)+$/

export class ChunkedReader {
  readonly #sink: BodySink
  readonly #trailers = new Trailers()
  readonly #trailerReader = new HeadReader(this.#trailers)
  #state = DONE
  /** Of the size line: the size so far and its digits; then: what is left of the chunk's data. */
  #size = 0
  #digits = 0
  #extension = ''
  #extensionBytes = 0

  constructor(sink: BodySink) {
    this.#sink = sink
  }

  begin(): void {
    this.#state = AT_SIZE
    this.#size = this.#digits = this.#extensionBytes = 0
    this.#extension = ''
    this.#trailers.begin()
  }

  /** Nothing more is emitted, also when called from within an event. */
  stop(): void {
    this.#state = DONE
  }

  get isDone(): boolean {
    return this.#state === DONE
  }

  /** Returns the offset behind what it took: all, or up to the end of the body. */
  push(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length && this.#state !== DONE) {
      if (this.#state === IN_DATA) at = this.#takeData(bytes, at)
      else if (this.#state === IN_TRAILERS) at = this.#takeTrailers(bytes, at)
      else this.#takeByte(bytes[at++] as number)
    }
    return at
  }

  #takeData(bytes: Buffer, at: number): number {
    const to = Math.min(bytes.length, at + this.#size)
    this.#size -= to - at
    if (this.#size === 0) this.#state = AT_DATA_CR
    this.#sink.onBody(bytes, at, to, false)
    return to
  }

  #takeTrailers(bytes: Buffer, at: number): number {
    const next = this.#trailerReader.push(bytes, at)
    if (next < 0) return bytes.length
    this.#state = DONE
    const { fields } = this.#trailers
    if (fields.length === 0) this.#sink.onBody(bytes, next, next, true)
    else this.#sink.onBodyTrailers(fields)
    return next
  }

  #takeByte(byte: number): void {
    switch (this.#state) {
      case AT_SIZE:
      case IN_SIZE:
        return this.#takeSize(byte)
      case IN_EXTENSION:
        return this.#takeExtension(byte)
      case AT_SIZE_LF:
        return this.#endSizeLine(byte)
      case AT_DATA_CR:
        if (byte !== CR) throw malformed('chunk data longer than its size')
        this.#state = AT_DATA_LF
        return
      default:
        if (byte !== LF) throw malformed('a CR without its LF after chunk data')
        this.#size = this.#digits = 0
        this.#state = AT_SIZE
    }
  }

  #takeSize(byte: number): void {
    const digit = hexDigit(byte)
    if (digit >= 0) {
      this.#size = this.#size * 16 + digit
      if (++this.#digits > DIGITS_LIMIT || this.#size > SIZE_LIMIT) throw malformed('a chunk size beyond all bounds')
      this.#state = IN_SIZE
      return
    }
    if (this.#state === AT_SIZE) throw malformed('a chunk without a size')
    if (byte === CR) this.#state = AT_SIZE_LF
    else if (byte === SEMICOLON) {
      this.#state = IN_EXTENSION
      this.#takeExtension(byte)
    } else throw malformed('a chunk size that is not hexadecimal')
  }

  #takeExtension(byte: number): void {
    if (byte === CR) {
      if (!EXTENSION.test(this.#extension)) throw malformed('a malformed chunk extension')
      this.#extension = ''
      this.#state = AT_SIZE_LF
      return
    }
    if (VALUE[byte] !== 1) throw malformed('a malformed chunk extension')
    if (++this.#extensionBytes > CHUNK_EXTENSION_LIMIT_BYTES) throw malformed('chunk extensions beyond 16 KiB')
    this.#extension += String.fromCharCode(byte)
  }

  #endSizeLine(byte: number): void {
    if (byte !== LF) throw malformed('a CR without its LF after a chunk size')
    this.#state = this.#size === 0 ? IN_TRAILERS : IN_DATA
  }
}

function hexDigit(byte: number): number {
  if (byte >= 0x30 && byte <= 0x39) return byte - 0x30
  const letter = byte | 0x20
  return letter >= 0x61 && letter <= 0x66 ? letter - 0x57 : -1
}
