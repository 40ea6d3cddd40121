// The difference of two JSON values as a JSON Patch (RFC 6902), small where lists of named things have grown or shrunk.
import { isDeepStrictEqual } from 'node:util'

export type Operation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string }

/** Applied in order to `from` gives `to`. Both are plain JSON; a field that is undefined is not there. */
export function differences(from: unknown, to: unknown, path = ''): Operation[] {
  if (isDeepStrictEqual(from, to)) return []
  if (Array.isArray(from) && Array.isArray(to)) return differencesOfLists(from, to, path)
  if (isMap(from) && isMap(to)) return differencesOfMaps(from, to, path)
  return [{ op: 'replace', path, value: to }]
}

function differencesOfMaps(from: JsonMap, to: JsonMap, path: string): Operation[] {
  const operations: Operation[] = []
  for (const key of Object.keys(from))
    if (from[key] !== undefined && fieldOf(to, key) === undefined)
      operations.push({ op: 'remove', path: below(path, key) })
  for (const [key, value] of Object.entries(to)) {
    if (value === undefined) continue
    const before = fieldOf(from, key)
    if (before === undefined) operations.push({ op: 'add', path: below(path, key), value })
    else operations.push(...differences(before, value, below(path, key)))
  }
  return operations
}

/** What is alike at both ends stays and is looked into; between them the old items go and the new ones come. */
function differencesOfLists(from: readonly unknown[], to: readonly unknown[], path: string): Operation[] {
  const shorter = Math.min(from.length, to.length)
  let head = 0
  while (head < shorter && isSame(from[head], to[head])) head++
  let tail = 0
  while (tail < shorter - head && isSame(from.at(-1 - tail), to.at(-1 - tail))) tail++
  const operations: Operation[] = []
  for (let index = 0; index < head; index++) operations.push(...differences(from[index], to[index], `${path}/${index}`))
  for (let index = from.length - tail - 1; index >= head; index--)
    operations.push({ op: 'remove', path: `${path}/${index}` })
  for (let index = head; index < to.length - tail; index++)
    operations.push({ op: 'add', path: `${path}/${index}`, value: to[index] })
  for (let back = tail; back > 0; back--)
    operations.push(...differences(from.at(-back), to.at(-back), `${path}/${to.length - back}`))
  return operations
}

/** Containers, volumes and variables are known by their names. */
function isSame(a: unknown, b: unknown): boolean {
  if (isMap(a) && isMap(b) && typeof a['name'] === 'string') return a['name'] === b['name']
  return isDeepStrictEqual(a, b)
}

type JsonMap = Readonly<Record<string, unknown>>

function isMap(value: unknown): value is JsonMap {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const fieldOf = (map: JsonMap, key: string) => (Object.hasOwn(map, key) ? map[key] : undefined)

/** RFC 6901 section 3. */
const below = (path: string, key: string) => `${path}/${key.replaceAll('~', '~0').replaceAll('/', '~1')}`
