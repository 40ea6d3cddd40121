// Reads header blocks (RFC 7541). Only literals are judged: what stands in a table was judged when it came, and the verdict
// stays with the entry, since a malformed field is the end of its stream and not of the connection.
import { TOKEN, VALUE } from '#flow/characters.ts'
import { decodeHuffman } from './huffman.ts'
import { DYNAMIC_FROM, STATIC_NAMES, STATIC_VALUES } from './static-table.ts'

export interface FieldSink {
  /** `isSound` is false when the name or value has a character that it must not have. */
  field(name: string, value: string, isSound: boolean, isNeverIndexed: boolean): void
}

/** COMPRESSION_ERROR: the tables of both ends differ from here on, so the connection ends. */
export class HpackError extends Error {
  override readonly name = 'HpackError'
}

/** Of every Buffer, though not in its types: toString('latin1') without the look-up of the coding. */
interface Latin1 {
  latin1Slice(from: number, to: number): string
}

const ENTRY_OVERHEAD_BYTES = 32
const SPACE = 0x20
const TAB = 9
let scratch = Buffer.allocUnsafeSlow(16 * 1024)

export class HpackDecoder {
  /** What our SETTINGS allow. */
  readonly #limitBytes: number
  #maxBytes: number
  #sizeBytes = 0
  /** A ring; #inserted counts all that ever came, the newest is at (#inserted - 1). */
  readonly #ring: number
  readonly #names: string[] = []
  readonly #values: string[] = []
  readonly #isSound: boolean[] = []
  #inserted = 0
  #count = 0
  #bytes: Buffer = scratch
  #at = 0
  #to = 0
  #isTextSound = true

  constructor(limitBytes = 4096) {
    this.#limitBytes = this.#maxBytes = limitBytes
    this.#ring = Math.max(1, Math.floor(limitBytes / ENTRY_OVERHEAD_BYTES))
  }

  /** A whole block. Throws HpackError. */
  decode(bytes: Buffer, from: number, to: number, sink: FieldSink): void {
    this.#bytes = bytes
    this.#at = from
    this.#to = to
    let hasField = false
    while (this.#at < to) {
      const first = bytes[this.#at] as number
      if (first >= 0x80) this.#indexed(sink)
      else if (first >= 0x40) this.#literal(sink, 6, first)
      else if (first >= 0x20) {
        if (hasField) throw new HpackError('a table size update behind a field')
        this.#resize(this.#integer(5))
        continue
      } else this.#literal(sink, 4, first)
      hasField = true
    }
  }

  #indexed(sink: FieldSink): void {
    const index = this.#integer(7)
    if (index === 0) throw new HpackError('index 0')
    if (index < DYNAMIC_FROM)
      return sink.field(STATIC_NAMES[index] as string, STATIC_VALUES[index] as string, true, false)
    const place = this.#place(index)
    sink.field(this.#names[place] as string, this.#values[place] as string, this.#isSound[place] as boolean, false)
  }

  #literal(sink: FieldSink, prefixBits: number, first: number): void {
    const index = this.#integer(prefixBits)
    let isSound = true
    let name: string
    if (index === 0) {
      name = this.#string(TOKEN)
      isSound = this.#isTextSound || isPseudo(name)
    } else if (index < DYNAMIC_FROM) name = STATIC_NAMES[index] as string
    else {
      const place = this.#place(index)
      name = this.#names[place] as string
      // An unsound value says nothing of the name; to refuse both is safe and needs one flag.
      isSound = this.#isSound[place] as boolean
    }
    const value = this.#string(VALUE)
    isSound &&= this.#isTextSound
    if (prefixBits === 6) this.#insert(name, value, isSound)
    sink.field(name, value, isSound, prefixBits === 4 && (first & 0x10) !== 0)
  }

  // ---- the dynamic table

  #place(index: number): number {
    const age = index - DYNAMIC_FROM
    if (age >= this.#count) throw new HpackError('an index beyond the table')
    return (this.#inserted - 1 - age) % this.#ring
  }

  #insert(name: string, value: string, isSound: boolean): void {
    const size = name.length + value.length + ENTRY_OVERHEAD_BYTES
    this.#evict(this.#maxBytes - size)
    if (size > this.#maxBytes) return
    const place = this.#inserted++ % this.#ring
    this.#names[place] = name
    this.#values[place] = value
    this.#isSound[place] = isSound
    this.#count++
    this.#sizeBytes += size
  }

  #evict(downToBytes: number): void {
    while (this.#count > 0 && this.#sizeBytes > downToBytes) {
      const oldest = (this.#inserted - this.#count) % this.#ring
      const [name, value] = [this.#names[oldest] as string, this.#values[oldest] as string]
      this.#sizeBytes -= name.length + value.length + ENTRY_OVERHEAD_BYTES
      this.#names[oldest] = this.#values[oldest] = ''
      this.#count--
    }
  }

  #resize(maxBytes: number): void {
    if (maxBytes > this.#limitBytes) throw new HpackError('a table size beyond what SETTINGS allow')
    this.#maxBytes = maxBytes
    this.#evict(maxBytes)
  }

  // ---- primitives

  #integer(prefixBits: number): number {
    const mask = (1 << prefixBits) - 1
    let value = (this.#bytes[this.#at++] as number) & mask
    if (value < mask) return value
    for (let shift = 0; shift <= 21; shift += 7) {
      if (this.#at >= this.#to) throw new HpackError('an integer that is cut off')
      const byte = this.#bytes[this.#at++] as number
      value += (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw new HpackError('an integer beyond all bounds')
  }

  #string(allowed: Uint8Array): string {
    if (this.#at >= this.#to) throw new HpackError('a string that is cut off')
    const isHuffman = (this.#bytes[this.#at] as number) >= 0x80
    const length = this.#integer(7)
    const from = this.#at
    this.#at += length
    if (this.#at > this.#to) throw new HpackError('a string that is cut off')
    if (!isHuffman) return this.#text(this.#bytes, from, this.#at, allowed)
    if (scratch.length < length * 2) scratch = Buffer.allocUnsafeSlow(length * 2)
    const size = decodeHuffman(this.#bytes, from, this.#at, scratch)
    if (size < 0) throw new HpackError('a broken Huffman code')
    return this.#text(scratch, 0, size, allowed)
  }

  #text(bytes: Buffer, from: number, to: number, allowed: Uint8Array): string {
    this.#isTextSound = allowed === TOKEN ? isName(bytes, from, to) : isValue(bytes, from, to)
    return (bytes as Buffer & Latin1).latin1Slice(from, to)
  }
}

/** RFC 9113 section 8.2.1: lower case, and as RFC 9110 says a token. */
function isName(bytes: Buffer, from: number, to: number): boolean {
  if (from === to) return false
  for (let i = from; i < to; i++) {
    const byte = bytes[i] as number
    if (TOKEN[byte] !== 1 || (byte >= 0x41 && byte <= 0x5a)) return false
  }
  return true
}

/** RFC 9113 section 8.2.1: no blank at either end, and as RFC 9110 says no control characters. */
function isValue(bytes: Buffer, from: number, to: number): boolean {
  if (from === to) return true
  const first = bytes[from] as number
  const last = bytes[to - 1] as number
  if (first === SPACE || first === TAB || last === SPACE || last === TAB) return false
  for (let i = from; i < to; i++) if (VALUE[bytes[i] as number] !== 1) return false
  return true
}

const PSEUDO = new Set([':method', ':scheme', ':authority', ':path', ':status', ':protocol'])
const isPseudo = (name: string): boolean => PSEUDO.has(name)
