// Writes header blocks (RFC 7541) straight into the output. One slot per name holds what is known of it, so a field costs one
// look-up; a value that changes each time is soon written without indexing, and what must never be indexed never is.
import { VALUE } from '#flow/characters.ts'
import { Unsendable } from '#flow/error.ts'
import { type Fields, NEVER_INDEXED } from '#flow/stream.ts'
import { encodeHuffman } from './huffman.ts'
import { CODE_LENGTHS } from './huffman-codes.ts'
import { NameSlot } from './name-slot.ts'
import { DYNAMIC_FROM } from './static-table.ts'

const TABLE_LIMIT_BYTES = 4096
const ENTRY_OVERHEAD_BYTES = 32
const RING = TABLE_LIMIT_BYTES / ENTRY_OVERHEAD_BYTES
/** Names are chosen by peers: beyond this many, a new one is written without being remembered. */
const SLOT_LIMIT = 256
/** A single value may not sweep the table. */
const INDEXED_LIMIT_BYTES = 1024
/** Index, the lengths of name and value, and rounding: more than a field takes beside its text. */
const FIELD_OVERHEAD_BYTES = 16
const FORBIDDEN_BITS = 2 ** 40
const VALUE_BITS = Float64Array.from({ length: 256 }, (_, byte) =>
  VALUE[byte] === 1 ? (CODE_LENGTHS[byte] as number) : FORBIDDEN_BITS,
)

/** Room that a block of these fields takes at most. */
export function blockBound(fields: Fields): number {
  let bound = FIELD_OVERHEAD_BYTES
  for (let i = 0; i < fields.length; i += 2)
    bound += (fields[i] as string).length + (fields[i + 1] as string).length + FIELD_OVERHEAD_BYTES
  return bound
}

export class HpackEncoder {
  readonly #slots = new Map<string, NameSlot>()
  readonly #travels: (lowerName: string) => boolean | string
  /** Sizes of the entries, a ring; the newest has the number #inserted. */
  readonly #sizes = new Uint32Array(RING)
  #inserted = 0
  #count = 0
  #sizeBytes = 0
  #maxBytes = TABLE_LIMIT_BYTES
  /** The least size since the last block, to be told before the present one (RFC 7541 section 4.2); -1: nothing to tell. */
  #leastBytes = -1
  #into: Uint8Array = new Uint8Array(0)
  #at = 0

  /** `travels`: false for names that never leave, such as those of one hop; a text where only this value does. */
  constructor(travels: (lowerName: string) => boolean | string = () => true) {
    this.#travels = travels
  }

  /** From the peer's SETTINGS_HEADER_TABLE_SIZE. */
  limitTable(bytes: number): void {
    const maxBytes = Math.min(bytes, TABLE_LIMIT_BYTES)
    if (maxBytes === this.#maxBytes) return
    this.#leastBytes = this.#leastBytes < 0 ? maxBytes : Math.min(this.#leastBytes, maxBytes)
    this.#maxBytes = maxBytes
    this.#evict(maxBytes)
  }

  /** Writes the block, for which `into` has room (blockBound), and returns the offset behind it. Throws Unsendable. */
  encode(fields: Fields, into: Uint8Array, from: number): number {
    try {
      return this.#block(fields, into, from)
    } catch (error) {
      this.#forget()
      throw error
    }
  }

  #block(fields: Fields, into: Uint8Array, from: number): number {
    this.#into = into
    this.#at = from
    if (this.#leastBytes >= 0) this.#tellSize()
    const secrets = secretsOf(fields)
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i] as string
      if (secrets !== null && name === NEVER_INDEXED) continue
      const slot = this.#slot(name)
      const value = fields[i + 1] as string
      if (slot.travels !== true && slot.travels !== value) continue
      if (secrets?.includes(slot.name) === true) this.#literal(slot, value, 0x10, 4)
      else this.#field(slot, value)
    }
    return this.#at
  }

  #slot(name: string): NameSlot {
    const known = this.#slots.get(name)
    if (known !== undefined) return known
    const lower = name.toLowerCase()
    const shared = lower === name ? undefined : this.#slots.get(lower)
    const slot = shared ?? new NameSlot(lower, this.#travels(lower))
    if (this.#slots.size < SLOT_LIMIT) {
      this.#slots.set(name, slot)
      if (shared === undefined) this.#slots.set(lower, slot)
    }
    return slot
  }

  #field(slot: NameSlot, value: string): void {
    const index = slot.staticValue(value)
    if (index > 0) return this.#integer(index, 0x80, 7)
    const number = slot.find(value, this.#oldest)
    if (number > 0) return this.#integer(this.#indexOf(number), 0x80, 7)
    if (this.#mayIndex(slot, value)) {
      this.#literal(slot, value, 0x40, 6)
      this.#insert(slot, value)
    } else this.#literal(slot, value, 0, 4)
  }

  #mayIndex(slot: NameSlot, value: string): boolean {
    if (slot.name.length + value.length > INDEXED_LIMIT_BYTES) return false
    // An entry with the name alone is worth its place where the static table has none.
    return slot.isWorthIndexing(value) || (slot.staticIndex === 0 && slot.anyEntry(this.#oldest) === 0)
  }

  #literal(slot: NameSlot, value: string, pattern: number, prefixBits: number): void {
    const number = slot.staticIndex > 0 ? 0 : slot.anyEntry(this.#oldest)
    const index = number > 0 ? this.#indexOf(number) : slot.staticIndex
    this.#integer(index, pattern, prefixBits)
    if (index === 0) this.#string(slot.name)
    this.#string(value)
  }

  #string(text: string): void {
    const bits = bitsOf(text)
    // Also false for NaN, which a character beyond a byte makes.
    if (!(bits < FORBIDDEN_BITS)) throw new Unsendable('a field value that HTTP cannot carry')
    const bytes = (bits + 7) >> 3
    if (bytes < text.length) {
      this.#integer(bytes, 0x80, 7)
      this.#at = encodeHuffman(text, this.#into, this.#at)
      return
    }
    this.#integer(text.length, 0, 7)
    for (let i = 0; i < text.length; i++) this.#into[this.#at++] = text.charCodeAt(i)
  }

  #integer(value: number, pattern: number, prefixBits: number): void {
    const mask = (1 << prefixBits) - 1
    if (value < mask) {
      this.#into[this.#at++] = pattern | value
      return
    }
    this.#into[this.#at++] = pattern | mask
    let rest = value - mask
    while (rest > 127) {
      this.#into[this.#at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    this.#into[this.#at++] = rest
  }

  // ---- the dynamic table

  get #oldest(): number {
    return this.#inserted - this.#count + 1
  }

  #indexOf(number: number): number {
    return DYNAMIC_FROM + this.#inserted - number
  }

  #insert(slot: NameSlot, value: string): void {
    const size = slot.name.length + value.length + ENTRY_OVERHEAD_BYTES
    this.#evict(this.#maxBytes - size)
    if (size > this.#maxBytes) return
    this.#inserted++
    this.#count++
    this.#sizeBytes += size
    this.#sizes[this.#inserted % RING] = size
    slot.keep(value, this.#inserted)
  }

  #evict(downToBytes: number): void {
    while (this.#count > 0 && this.#sizeBytes > downToBytes) {
      this.#sizeBytes -= this.#sizes[this.#oldest % RING] as number
      this.#count--
    }
  }

  /** The block that was begun will not be sent, though the table has changed: the next one empties both ends' tables. */
  #forget(): void {
    this.#evict(-1)
    this.#leastBytes = 0
  }

  #tellSize(): void {
    if (this.#leastBytes < this.#maxBytes) this.#integer(this.#leastBytes, 0x20, 5)
    this.#integer(this.#maxBytes, 0x20, 5)
    this.#leastBytes = -1
  }
}

/** Names that no table may hold; they stand behind the pseudo-fields. */
function secretsOf(fields: Fields): readonly string[] | null {
  for (let i = 0; i < fields.length && (fields[i] as string).charCodeAt(0) === 0x3a; i += 2)
    if (fields[i] === NEVER_INDEXED) return (fields[i + 1] as string).split(',')
  return null
}

function bitsOf(text: string): number {
  let bits = 0
  for (let i = 0; i < text.length; i++) bits += VALUE_BITS[text.charCodeAt(i)] as number
  return bits
}
