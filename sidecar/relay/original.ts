// What HTTP/2 cannot say of a message of HTTP/1.x: its version, and the case of its field names. Between two sidecars one field
// carries it; no application sees it, and none may send it. HPACK makes it a byte or two as long as a caller's heads look alike.
import type { Fields } from '#flow/stream.ts'

export type Version = '1.0' | '1.1' | '2'

/** "1.1", or "1.1 Accept,X-Id": the names of all fields as they came, in order; without them all are lower case. */
export const ORIGINAL = 'x-weft-original'

/** Adds the field. To be called last: the names stand for the fields as they are then. */
export function tellOriginal(fields: Fields, version: Version): void {
  const names = namesOf(fields)
  fields.push(ORIGINAL, names === '' ? version : `${version} ${names}`)
}

/** For an answer only the names are of interest. */
export function tellNames(fields: Fields, version: Version): void {
  const names = namesOf(fields)
  if (names !== '') fields.push(ORIGINAL, `${version} ${names}`)
}

/** Empty when no name has a letter in upper case, which is known before a list is made. */
function namesOf(fields: Fields): string {
  let at = 0
  while (at < fields.length && isLower(fields[at] as string)) at += 2
  if (at >= fields.length) return ''
  let names = ''
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (name.charCodeAt(0) !== COLON) names += names === '' ? name : `,${name}`
  }
  return names.length > LONGEST_NAMES ? '' : names
}

/** Beyond this a message goes without: no head may outgrow what a peer takes. */
const LONGEST_NAMES = 4096

const isLower = (name: string): boolean => name === name.toLowerCase()

const COLON = 58

/** Takes the field out, gives the other names their case back, and says the version: 2 when none is told. */
export function takeOriginal(fields: Fields): Version {
  for (let i = fields.length - 2; i >= 0; i -= 2) {
    if (fields[i] !== ORIGINAL) continue
    const value = fields[i + 1] as string
    if (i === fields.length - 2) fields.length = i
    else fields.splice(i, 2)
    if (value.length > 4) restoreNames(fields, value.slice(4))
    if (value.startsWith('1.0')) return '1.0'
    return value.startsWith('1.1') ? '1.1' : '2'
  }
  return '2'
}

/**
 * Names that no field has are passed over: the codec of HTTP/2 joins the crumbs of a cookie and drops what has no meaning there. And nobody
 * can bring in a field this way.
 */
function restoreNames(fields: Fields, list: string): void {
  const { names, lower } = splitNames(list)
  let at = 0
  for (let i = 0; i < fields.length && at < names.length; i += 2) {
    const name = fields[i] as string
    const found = name.charCodeAt(0) === COLON ? -1 : lower.indexOf(name, at)
    if (found < 0) continue
    fields[i] = names[found] as string
    at = found + 1
  }
}

interface Names {
  readonly names: readonly string[]
  readonly lower: readonly string[]
}

/** Callers repeat themselves: what was split once is kept, up to a limit. */
const MOST_LISTS = 512
const known = new Map<string, Names>()

function splitNames(list: string): Names {
  const found = known.get(list)
  if (found !== undefined) return found
  const names = list.split(',')
  const made = { names, lower: names.map((name) => name.toLowerCase()) }
  if (known.size >= MOST_LISTS) known.clear()
  known.set(list, made)
  return made
}
