// The objects of one kind as they are known, each cut down to what is read. An object whose cut is the same as before keeps its
// old value, so that what was computed from it may be kept too, and nobody is told of a change that is none for him.
import type { Log } from '#shared/log.ts'
import { Watched } from '#shared/watch.ts'
import { type KubeObject, keyOf } from './objects.ts'
import type { WatchEvent } from './watch-stream.ts'

/** undefined: of no interest. */
export type Project<T> = (object: KubeObject) => T | undefined

interface Entry<T> {
  readonly value: T
  readonly text: string
}

export class Store<T> {
  readonly objects = new Watched<ReadonlyMap<string, T>>(new Map())
  readonly #project: Project<T>
  readonly #log: Log
  #entries = new Map<string, Entry<T>>()

  constructor(project: Project<T>, log: Log) {
    this.#project = project
    this.#log = log
  }

  /** In place of everything known. */
  replace(items: Iterable<KubeObject>): void {
    const next = new Map<string, Entry<T>>()
    let isChanged = false
    for (const item of items) {
      const key = keyOf(item.metadata)
      const known = this.#entries.get(key)
      const entry = this.#entryOf(item, known)
      if (entry === undefined) continue
      next.set(key, entry)
      isChanged ||= entry !== known
    }
    isChanged ||= next.size !== this.#entries.size
    this.#entries = next
    if (isChanged) this.#tell()
  }

  take(events: readonly WatchEvent[]): void {
    let isChanged = false
    for (const event of events) isChanged = this.#takeOne(event) || isChanged
    if (isChanged) this.#tell()
  }

  #takeOne({ type, object }: WatchEvent): boolean {
    const key = keyOf(object.metadata)
    const known = this.#entries.get(key)
    const entry = type === 'DELETED' ? undefined : this.#entryOf(object, known)
    if (entry === known) return false
    if (entry === undefined) this.#entries.delete(key)
    else this.#entries.set(key, entry)
    return true
  }

  /** An object that cannot be read must not hold back the others. */
  #entryOf(object: KubeObject, known: Entry<T> | undefined): Entry<T> | undefined {
    try {
      const value = this.#project(object)
      if (value === undefined) return undefined
      const text = JSON.stringify(value)
      return known?.text === text ? known : { value, text }
    } catch (error) {
      this.#log.error({ err: error, object: keyOf(object.metadata) }, 'an object that cannot be read is left out')
      return undefined
    }
  }

  #tell(): void {
    const values = new Map<string, T>()
    for (const [key, { value }] of this.#entries) values.set(key, value)
    this.objects.set(values)
  }
}
