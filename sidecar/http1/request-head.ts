// A request's head: its line, Host and what its fields say (RFC 9112 sections 3 and 6, RFC 9110 section 7.2).
import { isAuthority } from '#flow/authority.ts'
import { CR, consistsOf, LF, METHOD, SPACE, TARGET } from '#flow/characters.ts'
import { FieldFacts } from './field-facts.ts'
import { Malformed, malformed } from './malformed.ts'
import type { HeadShape } from './parse.ts'

const SLASH = 0x2f
const ABSOLUTE = /^(https?):\/\/([^/?]*)/i
/** Places of the pseudo-fields' values in the list. */
const AUTHORITY = 5

/** Reused for every request of a connection; `fields` is new each time. */
export class RequestHead extends FieldFacts implements HeadShape {
  readonly hasStartLine = true
  method = ''
  minor = 1
  #hasHost = false
  /** RFC 9112 section 3.2.2: the authority of an absolute URI wins over Host. */
  #isAbsolute = false

  startLine(bytes: Buffer, at: number, text: string, base: number): number {
    let i = at
    while (METHOD[bytes[i] as number] === 1) i++
    if (i === at || bytes[i] !== SPACE) throw malformed('a request line without a method in upper case')
    this.method = text.slice(at - base, i - base)
    const targetFrom = ++i
    while (TARGET[bytes[i] as number] === 1) i++
    if (i === targetFrom || bytes[i] !== SPACE)
      throw malformed('a request target that is empty, open or has a forbidden character')
    const target = text.slice(targetFrom - base, i - base)
    this.minor = minorOf(text.slice(i + 1 - base, i + 9 - base))
    if (bytes[i + 9] !== CR || bytes[i + 10] !== LF) throw malformed('a request line with more behind the version')
    this.#hasHost = this.#isAbsolute = false
    this.begin([':method', this.method, ':scheme', 'http', ':authority', '', ':path', target])
    this.#noteTarget(target)
    return i + 11
  }

  field(name: string, value: string): void {
    if (name.length === 4 && name.toLowerCase() === 'host') this.#noteHost(value)
    else if (this.note(name, value)) this.fields.push(name, value)
  }

  override finish(): void {
    if (!this.#hasHost && this.minor === 1) throw malformed('no Host')
    super.finish(this.minor)
  }

  get keepsAlive(): boolean {
    return !this.saysClose && (this.minor === 1 || this.saysKeepAlive)
  }

  #noteTarget(target: string): void {
    if (this.method === 'CONNECT') throw new Malformed('CONNECT_REFUSED', 'CONNECT')
    if (target.charCodeAt(0) === SLASH) return
    if (target === '*') {
      if (this.method !== 'OPTIONS') throw malformed('a target of * without OPTIONS')
      return
    }
    const match = ABSOLUTE.exec(target)
    const [prefix, scheme, authority] = match ?? []
    if (prefix === undefined || scheme === undefined || authority === undefined)
      throw malformed('a target of no known form')
    if (authority === '' || !isAuthority(authority)) throw malformed('an authority that is not a host and port')
    this.#isAbsolute = true
    const rest = target.slice(prefix.length)
    this.fields[3] = scheme.toLowerCase()
    this.fields[AUTHORITY] = authority
    this.fields[7] = rest === '' && this.method === 'OPTIONS' ? '*' : rest.charCodeAt(0) === SLASH ? rest : `/${rest}`
  }

  #noteHost(value: string): void {
    if (this.#hasHost) throw malformed('more than one Host')
    if (!isAuthority(value)) throw malformed('a Host that is not a host and port')
    this.#hasHost = true
    if (!this.#isAbsolute) this.fields[AUTHORITY] = value
  }
}

function minorOf(version: string): number {
  if (version === 'HTTP/1.1') return 1
  if (version === 'HTTP/1.0') return 0
  if (/^HTTP\/\d\.\d$/.test(version)) throw new Malformed('HTTP_VERSION', 'a version other than 1.0 and 1.1')
  throw malformed('a request line without a version')
}

/** For a head that is written: what a parser would take. */
export function isTarget(path: string): boolean {
  return path !== '' && consistsOf(path, TARGET)
}
