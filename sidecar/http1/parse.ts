// Reads a head (or trailers) that may come in pieces, line by line. A line is judged only once its LF is there, so the
// verdict never depends on how the bytes were cut. A head that comes whole is read where it lies, without a copy.
import { COLON, CR, LF, SPACE, TAB, TOKEN, VALUE } from '#flow/characters.ts'
import { FIELD_LIMIT, HEAD_LIMIT_BYTES, REQUEST_LINE_LIMIT_BYTES } from './limits.ts'
import { Malformed, malformed } from './malformed.ts'

/** What a head means; parse.ts only knows its lines. */
export interface HeadShape {
  readonly hasStartLine: boolean
  /** Reads the start line at `at`, of which `text` holds the characters from `base` on; returns where the next one is. */
  startLine(bytes: Buffer, at: number, text: string, base: number): number
  field(name: string, value: string): void
  /** The empty line came: checks what only a whole head can tell. */
  finish(): void
}

const HEAD_END = Buffer.from('\r\n\r\n', 'latin1')
const FIRST_HOLD_BYTES = 1024

export class HeadReader {
  readonly #shape: HeadShape
  /** Bytes of a head that is not complete yet; null when there is none. */
  #held: Buffer | null = null
  #heldSize = 0
  /** Where in #held the head begins (behind an empty line), the next line, and the search for its end. */
  #start = 0
  #next = 0
  #searched = 0
  #needsStartLine: boolean
  #fieldCount = 0
  #sawEmptyLine = false

  constructor(shape: HeadShape) {
    this.#shape = shape
    this.#needsStartLine = shape.hasStartLine
  }

  /** True while a part of a head has come; an empty line before it does not count. */
  get isPartial(): boolean {
    return this.#held !== null && this.#heldSize > this.#start
  }

  /** How many bytes the head had that was read last; for limits on their sum. */
  headSize = 0

  /** Takes bytes from `from` on. Returns the offset behind the head, or -1 when all were taken and more are needed. */
  push(bytes: Buffer, from: number): number {
    if (this.#held !== null) return this.#pushHeld(bytes, from)
    let at = from
    while (bytes[at] === CR && bytes[at + 1] === LF) {
      if (!this.#needsStartLine) return this.#finish(at + 2, 2)
      this.#skipEmptyLine()
      at += 2
      if (at === bytes.length) return -1
    }
    const end = bytes.indexOf(HEAD_END, at)
    // A longer head goes the way of those that come in pieces, where the limits are.
    if (end < 0 || end - at > REQUEST_LINE_LIMIT_BYTES) return this.#pushHeld(bytes, at)
    const text = bytes.toString('latin1', at, end + 4)
    const base = at
    while (bytes[at] !== CR || this.#needsStartLine) at = this.#line(bytes, at, text, base)
    if (bytes[at + 1] !== LF) throw malformed('a field name has a forbidden character')
    return this.#finish(at + 2, at + 2 - base)
  }

  /** RFC 9112 section 2.2: one empty line before a request line may be ignored; old clients send one after a body. */
  #skipEmptyLine(): void {
    if (this.#sawEmptyLine) throw malformed('empty lines before the start line')
    this.#sawEmptyLine = true
  }

  #finish(offset: number, sizeBytes: number): number {
    this.headSize = sizeBytes
    this.#held = null
    this.#heldSize = this.#start = this.#next = this.#searched = 0
    this.#needsStartLine = this.#shape.hasStartLine
    this.#fieldCount = 0
    this.#sawEmptyLine = false
    this.#shape.finish()
    return offset
  }

  /** One line whose LF is known to be in `bytes`. */
  #line(bytes: Buffer, at: number, text: string, base: number): number {
    if (this.#needsStartLine) {
      this.#needsStartLine = false
      return this.#shape.startLine(bytes, at, text, base)
    }
    if (++this.#fieldCount > FIELD_LIMIT) throw new Malformed('HEADER_TOO_LARGE', 'more than 100 fields')
    return this.#fieldLine(bytes, at, text, base)
  }

  /** RFC 9112 section 5: no blank before the colon, no folding, one CRLF at the end. */
  #fieldLine(bytes: Buffer, at: number, text: string, base: number): number {
    let i = at
    while (TOKEN[bytes[i] as number] === 1) i++
    if (i === at || bytes[i] !== COLON) throw malformed(lineFault(bytes[i] as number, i === at))
    const name = text.slice(at - base, i - base)
    i++
    while (bytes[i] === SPACE || bytes[i] === TAB) i++
    const valueFrom = i
    while (VALUE[bytes[i] as number] === 1) i++
    if (bytes[i] !== CR || bytes[i + 1] !== LF) throw malformed('a field value has a forbidden character')
    let valueTo = i
    while (valueTo > valueFrom && (bytes[valueTo - 1] === SPACE || bytes[valueTo - 1] === TAB)) valueTo--
    this.#shape.field(name, text.slice(valueFrom - base, valueTo - base))
    return i + 2
  }

  #pushHeld(bytes: Buffer, from: number): number {
    const sizeBefore = this.#heldSize
    this.#hold(bytes, from)
    const held = this.#held as Buffer
    for (;;) {
      const lineEnd = held.subarray(0, this.#heldSize).indexOf(LF, this.#searched)
      this.#checkLimits(lineEnd < 0 ? this.#heldSize : lineEnd)
      if (lineEnd < 0) {
        this.#searched = this.#heldSize
        return -1
      }
      this.#searched = lineEnd + 1
      if (held[this.#next] === CR && this.#next + 1 === lineEnd) {
        if (!this.#needsStartLine) return this.#finish(from + lineEnd + 1 - sizeBefore, lineEnd + 1 - this.#start)
        this.#skipEmptyLine()
        this.#start = this.#next = lineEnd + 1
        continue
      }
      const text = held.toString('latin1', this.#next, lineEnd + 1)
      this.#next = this.#line(held, this.#next, text, this.#next)
    }
  }

  /** `reach` is where the next LF is, or the least offset at which it can be. */
  #checkLimits(reach: number): void {
    const size = reach - this.#start
    if (this.#needsStartLine && size > REQUEST_LINE_LIMIT_BYTES + 1) {
      throw new Malformed('URI_TOO_LONG', 'the request line is longer than 32 KiB')
    }
    if (size >= HEAD_LIMIT_BYTES) throw new Malformed('HEADER_TOO_LARGE', 'the head is larger than 60 KiB')
  }

  /** Appends, but never more than the limits can need: what follows the head stays with the caller. */
  #hold(bytes: Buffer, from: number): void {
    const room = HEAD_LIMIT_BYTES + 2 - this.#heldSize
    const size = this.#heldSize + Math.min(bytes.length - from, room)
    if (this.#held === null || size > this.#held.length) {
      const grown = Buffer.allocUnsafe(Math.max(FIRST_HOLD_BYTES, size, 2 * this.#heldSize))
      this.#held?.copy(grown, 0, 0, this.#heldSize)
      this.#held = grown
    }
    bytes.copy(this.#held, this.#heldSize, from, from + size - this.#heldSize)
    this.#heldSize = size
  }
}

function lineFault(byte: number, isFirst: boolean): string {
  if (!isFirst)
    return byte === SPACE || byte === TAB ? 'a blank before the colon' : 'a field name has a forbidden character'
  if (byte === SPACE || byte === TAB) return 'a folded field'
  return byte === COLON ? 'a field without a name' : 'a field name has a forbidden character'
}
