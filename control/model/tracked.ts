// Tables that note who reads them, and values worked out from them. When a row changes, the values that have read it, and no others,
// are forgotten and worked out anew when somebody asks. What a value depends on is never written down by hand: it is what it read.

/** The value that is being worked out at the moment. */
let reader: Reader | null = null

class Reader {
  readonly #forget: () => void
  readonly #read: { readonly readers: Readers; readonly key: string }[] = []

  constructor(forget: () => void) {
    this.#forget = forget
  }

  note(readers: Readers, key: string): void {
    this.#read.push({ readers, key })
  }

  run<V>(compute: () => V): V {
    const outer = reader
    reader = this
    try {
      return compute()
    } catch (error) {
      this.leave()
      throw error
    } finally {
      reader = outer
    }
  }

  /** Something that it read has changed. */
  drop(): void {
    this.leave()
    this.#forget()
  }

  /** It is not told of changes any more. */
  leave(): void {
    for (const { readers, key } of this.#read.splice(0)) readers.remove(key, this)
  }
}

/** Who has read what, by key; of a key that is not there too, as it may come. */
class Readers {
  readonly #byKey = new Map<string, Set<Reader>>()

  noteRead(key: string): void {
    if (reader === null) return
    const known = this.#byKey.get(key)
    if (known?.has(reader)) return
    if (known === undefined) this.#byKey.set(key, new Set([reader]))
    else known.add(reader)
    reader.note(this, key)
  }

  remove(key: string, one: Reader): void {
    const known = this.#byKey.get(key)
    if (known?.delete(one) && known.size === 0) this.#byKey.delete(key)
  }

  drop(key: string): void {
    for (const one of [...(this.#byKey.get(key) ?? [])]) one.drop()
  }
}

/** A value for each key: worked out when it is asked for, and kept for as long as nothing that it read changes. */
export class Memo<V> {
  readonly #limit: number
  readonly #known = new Map<string, { readonly value: V; readonly by: Reader }>()
  readonly #readers = new Readers()

  /** Beyond `limit` all are forgotten. */
  constructor(limit = Number.POSITIVE_INFINITY) {
    this.#limit = limit
  }

  /** What `compute` gives must follow from the key and from what it reads. */
  get(key: string, compute: () => V): V {
    this.#readers.noteRead(key)
    const known = this.#known.get(key)
    if (known !== undefined) return known.value
    const by: Reader = new Reader(() => {
      this.#known.delete(key)
      this.#readers.drop(key)
    })
    const value = by.run(compute)
    if (this.#known.size >= this.#limit) for (const one of [...this.#known.values()]) one.by.drop()
    this.#known.set(key, { value, by })
    return value
  }
}

/** How values for keys are kept: in a Memo, or for a moment. */
export type Remember = <V>(compute: (key: string) => V) => { get(key: string): V }

/** For a question that is asked once: nothing changes meanwhile, so nobody need be told. */
export const forOnce: Remember = <V>(compute: (key: string) => V) => {
  const known = new Map<string, { readonly value: V }>()
  const add = (key: string) => {
    const found = { value: compute(key) }
    known.set(key, found)
    return found
  }
  return { get: (key) => (known.get(key) ?? add(key)).value }
}

export const remembered: Remember = <V>(compute: (key: string) => V) => {
  const memo = new Memo<V>()
  return { get: (key) => memo.get(key, () => compute(key)) }
}

/** What somebody has read who wants to know whether it has changed since. */
export class Reading {
  #isCurrent = true
  readonly #reader = new Reader(() => {
    this.#isCurrent = false
  })

  /** False: something that it has read is another now. */
  get isCurrent(): boolean {
    return this.#isCurrent
  }

  /** What is read meanwhile belongs to it, and to nobody else. */
  run<V>(read: () => V): V {
    try {
      return this.#reader.run(read)
    } catch (error) {
      this.#isCurrent = false
      throw error
    }
  }

  close(): void {
    this.#reader.leave()
  }
}

/** Names of rows by something that is in them. */
class Index<T> {
  readonly #keysOf: (value: T, name: string) => readonly string[]
  readonly #names = new Map<string, Set<string>>()
  readonly #readers = new Readers()
  readonly #readersOfKeys = new Readers()

  constructor(keysOf: (value: T, name: string) => readonly string[]) {
    this.#keysOf = keysOf
  }

  at(key: string): ReadonlySet<string> {
    this.#readers.noteRead(key)
    return this.#names.get(key) ?? NONE
  }

  /** Without note: for a choice that changes nothing but the cost. */
  countAt(key: string): number {
    return this.#names.get(key)?.size ?? 0
  }

  keys(): readonly string[] {
    this.#readersOfKeys.noteRead('')
    return [...this.#names.keys()]
  }

  move(name: string, before: T | undefined, after: T | undefined): void {
    const from = new Set(before === undefined ? [] : this.#keysOf(before, name))
    const to = new Set(after === undefined ? [] : this.#keysOf(after, name))
    for (const key of from.difference(to)) this.#remove(key, name)
    for (const key of to.difference(from)) this.#add(key, name)
  }

  #add(key: string, name: string): void {
    const names = this.#names.get(key)
    if (names === undefined) this.#names.set(key, new Set([name]))
    else names.add(name)
    this.#readers.drop(key)
    if (names === undefined) this.#readersOfKeys.drop('')
  }

  #remove(key: string, name: string): void {
    const names = this.#names.get(key)
    names?.delete(name)
    this.#readers.drop(key)
    if (names?.size !== 0) return
    this.#names.delete(key)
    this.#readersOfKeys.drop('')
  }
}

const NONE: ReadonlySet<string> = new Set()

/** Rows by name. A row is never changed, only put in place of another. */
export class Table<T, I extends string = never> {
  readonly #rows = new Map<string, T>()
  readonly #readers = new Readers()
  readonly #indexes: Readonly<Record<I, Index<T>>>

  constructor(indexes: Readonly<Record<I, (value: T, name: string) => readonly string[]>>) {
    const entries = Object.entries<(value: T, name: string) => readonly string[]>(indexes)
    this.#indexes = Object.fromEntries(entries.map(([name, keysOf]) => [name, new Index(keysOf)])) as Record<
      I,
      Index<T>
    >
  }

  get(name: string): T | undefined {
    this.#readers.noteRead(name)
    return this.#rows.get(name)
  }

  /** Names of the rows that have this key, in no order. */
  by(index: I, key: string): ReadonlySet<string> {
    return this.#indexes[index].at(key)
  }

  countBy(index: I, key: string): number {
    return this.#indexes[index].countAt(key)
  }

  /** Every key of some row, in no order. */
  keys(index: I): readonly string[] {
    return this.#indexes[index].keys()
  }

  /** undefined: no such row any more. */
  set(name: string, value: T | undefined): void {
    const before = this.#rows.get(name)
    if (Object.is(before, value)) return
    if (value === undefined) this.#rows.delete(name)
    else this.#rows.set(name, value)
    for (const index of Object.values<Index<T>>(this.#indexes)) index.move(name, before, value)
    this.#readers.drop(name)
  }
}
