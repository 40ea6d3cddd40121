// What is worked out for each of many names, in one list: when one of them changes, that one alone is worked out anew.
import { compareText } from './status.ts'
import { Reading } from './tracked.ts'

/** In the order of the names. The same list as long as nothing changes; who reads it is not noted as its reader. */
export function listed<V>(
  namesOf: () => readonly string[],
  valuesOf: (name: string) => readonly V[],
): () => readonly V[] {
  const parts = new Map<string, Part<V>>()
  let names: Part<string> | undefined
  let list: readonly V[] = []
  return () => {
    const before = names
    names = renewed(names, () => namesOf().toSorted(compareText))
    let isChanged = names !== before
    if (isChanged) forgetOthers(parts, names.values)
    for (const name of names.values) {
      const part = renewed(parts.get(name), () => valuesOf(name))
      isChanged ||= part !== parts.get(name)
      parts.set(name, part)
    }
    if (isChanged) list = names.values.flatMap((name) => parts.get(name)?.values ?? [])
    return list
  }
}

interface Part<V> {
  readonly values: readonly V[]
  readonly reading: Reading
}

function renewed<V>(known: Part<V> | undefined, compute: () => readonly V[]): Part<V> {
  if (known?.reading.isCurrent) return known
  const reading = new Reading()
  return { values: reading.run(compute), reading }
}

function forgetOthers<V>(parts: Map<string, Part<V>>, names: readonly string[]): void {
  const kept = new Set(names)
  for (const [name, { reading }] of parts) {
    if (kept.has(name)) continue
    reading.close()
    parts.delete(name)
  }
}
