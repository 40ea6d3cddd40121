// The one canonical spelling of a path, for matching only: the upstream always gets the bytes that were sent.
// Equal under RFC 3986 section 6.2.2 (and what servers do besides: merged slashes, "\" and %2F read as "/") means equal here.

export interface CanonicalPath {
  /** Begins with "/" (or is "*"). Escapes are upper case and stand only for what cannot stand plainly. */
  readonly path: string
  /** After the first "?", as sent; empty when there is none. */
  readonly query: string
  /** False when servers could read the path in two ways: "//", dot segments, "\", %2F, %5C, "#". */
  readonly isPathPlain: boolean
}

const SLASH = 47
const DOT = 46
const QUESTION = 63
const PERCENT = 37

/** 1: may stand in a path as it is (pchar of RFC 3986 section 3.3, and "/"). */
const PLAIN = new Uint8Array(128)
/** 1: unreserved, so that its escape means the same as itself. */
const UNRESERVED = new Uint8Array(128)
for (const character of 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~') {
  PLAIN[character.charCodeAt(0)] = 1
  UNRESERVED[character.charCodeAt(0)] = 1
}
for (const character of "!$&'()*+,;=:@/") PLAIN[character.charCodeAt(0)] = 1

/** `target` is a request target in origin form ("/a?b"), or "*". */
export function canonicalPath(target: string): CanonicalPath {
  const length = target.length
  if (target.charCodeAt(0) !== SLASH) return rewritten(target)
  let before = SLASH
  for (let i = 1; i < length; i++) {
    const code = target.charCodeAt(i)
    if (code === QUESTION) return { path: target.slice(0, i), query: target.slice(i + 1), isPathPlain: true }
    // After a slash only a name may come: a further slash or a dot needs a closer look (".well-known" passes there).
    if (code > 127 || PLAIN[code] === 0 || (before === SLASH && (code === SLASH || code === DOT)))
      return rewritten(target)
    before = code
  }
  return { path: target, query: '', isPathPlain: true }
}

function rewritten(target: string): CanonicalPath {
  const end = target.search(/[?#]/)
  const sent = end === -1 ? target : target.slice(0, end)
  const query = target[end] === '?' ? target.slice(end + 1) : ''
  if (sent === '*') return { path: sent, query, isPathPlain: true }
  const slashed = unifyEscapes(sent.startsWith('/') ? sent : `/${sent}`)
  const path = withoutDots(slashed.text)
  return {
    path,
    query,
    isPathPlain: !slashed.isRewritten && path === slashed.text && target[end] !== '#' && sent !== '',
  }
}

/** Escapes made uniform, and everything that some server reads as a slash made one. */
function unifyEscapes(path: string): { text: string; isRewritten: boolean } {
  let text = ''
  let isRewritten = false
  for (let i = 0; i < path.length; i++) {
    const code = path.charCodeAt(i)
    const escaped = code === PERCENT ? escapedByte(path, i) : -1
    if (escaped !== -1) i += 2
    const byte = escaped === -1 ? code : escaped
    if (byte === 92 || escaped === SLASH) {
      text += '/'
      isRewritten = true
    } else if (isPlainHere(byte, escaped !== -1)) text += String.fromCharCode(byte)
    else text += escapeOf(byte)
  }
  return { text, isRewritten }
}

function isPlainHere(byte: number, isEscaped: boolean): boolean {
  return byte < 128 && (isEscaped ? UNRESERVED : PLAIN)[byte] === 1
}

/** The byte of an escape at `at`; -1 where "%" begins none. */
function escapedByte(path: string, at: number): number {
  const high = hexDigit(path.charCodeAt(at + 1))
  const low = hexDigit(path.charCodeAt(at + 2))
  return high === -1 || low === -1 ? -1 : high * 16 + low
}

/** NaN, which charCodeAt gives past the end, is no digit either. */
function hexDigit(code: number): number {
  if (code >= 48 && code <= 57) return code - 48
  const lower = code | 32
  return lower >= 97 && lower <= 102 ? lower - 87 : -1
}

/** A Latin-1 character is a byte as it came; any other is its UTF-8 bytes. */
function escapeOf(code: number): string {
  if (code < 256) return `%${code.toString(16).toUpperCase().padStart(2, '0')}`
  return [...Buffer.from(String.fromCharCode(code))].map((byte) => escapeOf(byte)).join('')
}

/** Section 5.2.4 of RFC 3986, and empty segments left out. */
function withoutDots(path: string): string {
  const kept: string[] = []
  const segments = path.split('/').slice(1)
  for (const segment of segments) {
    if (segment === '..') kept.pop()
    else if (segment !== '.' && segment !== '') kept.push(segment)
  }
  const last = segments.at(-1)
  const isFolder = kept.length > 0 && (last === '' || last === '.' || last === '..')
  return `/${kept.join('/')}${isFolder ? '/' : ''}`
}
