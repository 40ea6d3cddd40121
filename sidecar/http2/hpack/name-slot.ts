// What the encoder knows of one field name: its place in the static table and the values that stand in the dynamic one.
import { consistsOf, TOKEN } from '#flow/characters.ts'
import { Unsendable } from '#flow/error.ts'
import { STATIC_NAMES, STATIC_VALUES } from './static-table.ts'

/** A name has few values worth keeping: a service's few hosts, a header's few settings. */
const WAYS = 4
const CREDIT_LIMIT = 8

export class NameSlot {
  /** Lower case, as HTTP/2 has it. */
  readonly name: string
  /** Whether it leaves at all; a text: only with this value. */
  readonly travels: boolean | string
  /** Index in the static table; 0: none. */
  readonly staticIndex: number
  readonly #staticValues: ReadonlyMap<string, number> | null
  readonly #values: string[] = []
  /** The number under which each value was inserted. */
  readonly #numbers: number[] = []
  /** Insertions that did not pay use it up, hits restore it. */
  #credit = 2
  #lastSeen = ''

  constructor(name: string, travels: boolean | string) {
    const pseudo = name.charCodeAt(0) === 0x3a
    if (!pseudo && (name === '' || !consistsOf(name, TOKEN)))
      throw new Unsendable('a field name that HTTP cannot carry')
    this.name = name
    this.travels = travels
    this.staticIndex = Math.max(0, STATIC_NAMES.indexOf(name))
    this.#staticValues = staticValuesOf(name)
    if (pseudo && this.staticIndex === 0) throw new Unsendable('a pseudo-field that HTTP/2 does not know')
  }

  staticValue(value: string): number {
    return this.#staticValues?.get(value) ?? 0
  }

  /** The number of the value's entry when it is `oldest` or later; else 0. */
  find(value: string, oldest: number): number {
    const numbers = this.#numbers
    for (let i = 0; i < numbers.length; i++) {
      if ((numbers[i] as number) < oldest || this.#values[i] !== value) continue
      if (this.#credit < CREDIT_LIMIT) this.#credit++
      return numbers[i] as number
    }
    return 0
  }

  /** The number of any entry with this name that still stands; 0: none. */
  anyEntry(oldest: number): number {
    let newest = 0
    for (const number of this.#numbers) if (number > newest) newest = number
    return newest >= oldest ? newest : 0
  }

  /** Whether to index a value that no entry has: while that pays, and else only what comes twice running. */
  isWorthIndexing(value: string): boolean {
    const isRepeated = value === this.#lastSeen
    this.#lastSeen = value
    return this.#credit > 0 || isRepeated
  }

  keep(value: string, number: number): void {
    this.#credit--
    let place = this.#numbers.length
    if (place >= WAYS) place = this.#numbers.indexOf(Math.min(...this.#numbers))
    this.#values[place] = value
    this.#numbers[place] = number
  }
}

function staticValuesOf(name: string): ReadonlyMap<string, number> | null {
  const found = new Map<string, number>()
  STATIC_VALUES.forEach((value, index) => {
    if (value !== '' && STATIC_NAMES[index] === name) found.set(value, index)
  })
  return found.size === 0 ? null : found
}
