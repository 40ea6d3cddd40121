// RFC 9112 as narrow as it can be read, with nothing of our codec: what reached an application is judged with it. Every doubt is a fault.

export interface ReadRequest {
  readonly method: string
  /** Origin-form; of an absolute URI its path. */
  readonly target: string
  readonly names: readonly string[]
  readonly body: string
}

export interface Reading {
  readonly requests: readonly ReadRequest[]
  /** What stands behind the last whole request. */
  readonly rest: string
  /** Why `rest` is not the beginning of one more request; null: it is, or it is empty. */
  readonly fault: string | null
}

const TOKEN = "[!#$%&'*+.^_`|~0-9A-Za-z-]+"
const REQUEST_LINE = new RegExp(`^(${TOKEN}) ([\\x21-\\x7e]+) HTTP/1\\.([01])$`)
const FIELD_LINE = new RegExp(
  `^(${TOKEN}):[\\t ]*((?:[\\x21-\\x7e\\x80-\\xff](?:[\\t\\x20-\\x7e\\x80-\\xff]*[\\x21-\\x7e\\x80-\\xff])?)?)[\\t ]*$`,
)
const HOST = /^(?:[0-9A-Za-z._~-]*|\[[0-9A-Fa-f:.]+\])(?::\d{0,5})?$/
const TARGET = /^(?:https?:\/\/[^/?#]+)?([/?][^#]*|\*|)$/i
const CHUNK_LINE = new RegExp(`^([0-9A-Fa-f]{1,12})(?:;${TOKEN}(?:=(?:${TOKEN}|"[^"\\r\\n\\\\]*"))?)*$`)

/** Thrown within this file only. */
class Fault extends Error {}
const INCOMPLETE = Symbol('incomplete')

interface Options {
  /** For what a client has sent: an empty line before a request, and an HTTP/1.0 that names no host. */
  readonly ofClient?: boolean
}

/** Latin-1 text of one direction of a connection. */
export function readStrictly(text: string, { ofClient = false }: Options = {}): Reading {
  const requests: ReadRequest[] = []
  let rest = text
  for (;;) {
    if (ofClient && rest.startsWith('\r\n')) rest = rest.slice(2)
    if (rest === '') return { requests, rest, fault: null }
    try {
      const read = readRequest(rest, ofClient)
      if (read === INCOMPLETE) return { requests, rest, fault: null }
      requests.push(read.request)
      rest = read.rest
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      return { requests, rest, fault: error.message }
    }
  }
}

function readRequest(text: string, ofClient: boolean): { request: ReadRequest; rest: string } | typeof INCOMPLETE {
  const end = text.indexOf('\r\n\r\n')
  if (end < 0) return judgeBeginning(text)
  const [line = '', ...lines] = text.slice(0, end).split('\r\n')
  const [, method, uri, minor] = REQUEST_LINE.exec(line) ?? []
  if (method === undefined || uri === undefined) throw new Fault(`a request line: ${JSON.stringify(line)}`)
  const target = targetOf(method, uri)
  const fields = lines.map(fieldOf)
  const framing = framingOf(fields, { isOld: minor === '0', needsHost: !(ofClient && minor === '0') })
  const read = readBody(text.slice(end + 4), framing)
  if (read === INCOMPLETE) return INCOMPLETE
  const names = fields.map(([name]) => name)
  return { request: { method, names, target, body: read.body }, rest: read.rest }
}

/** RFC 9112 section 3.2.4: an absolute URI without a path is * for OPTIONS. */
function targetOf(method: string, uri: string): string {
  const target = TARGET.exec(uri)?.[1]
  if (target === undefined || (uri === '*' && method !== 'OPTIONS')) throw new Fault(`a target: ${JSON.stringify(uri)}`)
  if (target === '') return method === 'OPTIONS' ? '*' : '/'
  return target.startsWith('?') ? `/${target}` : target
}

/** A head that is not whole may still break the rules, or hold a whole line of another request. */
function judgeBeginning(text: string): typeof INCOMPLETE {
  const lines = text.split('\r\n').slice(0, -1)
  if (lines[0] !== undefined && !REQUEST_LINE.test(lines[0]))
    throw new Fault(`a request line: ${JSON.stringify(lines[0])}`)
  for (const line of lines.slice(1)) fieldOf(line)
  return INCOMPLETE
}

function fieldOf(line: string): readonly [name: string, value: string] {
  const [, name, value] = FIELD_LINE.exec(line) ?? []
  if (name === undefined || value === undefined) throw new Fault(`a field line: ${JSON.stringify(line)}`)
  return [name.toLowerCase(), value]
}

type Framing = { readonly length: number } | 'chunked'
type Field = readonly [name: string, value: string]

/** Names that some reader maps to one that frames count as that name. */
const asCgiReadsIt = (name: string) => name.replaceAll('_', '-')

function framingOf(fields: readonly Field[], rules: { isOld: boolean; needsHost: boolean }): Framing {
  const valuesOf = (wanted: string) => fields.filter(([name]) => asCgiReadsIt(name) === wanted)
  const [lengths, codings, hosts] = ['content-length', 'transfer-encoding', 'host'].map(valuesOf) as [
    Field[],
    Field[],
    Field[],
  ]
  for (const [name] of [...lengths, ...codings, ...hosts])
    if (name.includes('_')) throw new Fault(`a name that some read as another: ${name}`)
  if (hosts.length > 1 || (rules.needsHost && hosts.length === 0)) throw new Fault(`${hosts.length} Hosts`)
  if (hosts[0] !== undefined && !HOST.test(hosts[0][1])) throw new Fault(`a Host: ${hosts[0][1]}`)
  if (lengths.length + codings.length > 1) throw new Fault('more than one framing')
  const [coding, length] = [codings[0]?.[1], lengths[0]?.[1] ?? '0']
  if (coding !== undefined) {
    if (coding.toLowerCase() !== 'chunked' || rules.isOld) throw new Fault(`a coding: ${coding}`)
    return 'chunked'
  }
  if (!/^\d{1,15}$/.test(length)) throw new Fault(`a length: ${length}`)
  return { length: Number(length) }
}

function readBody(text: string, framing: Framing): { body: string; rest: string } | typeof INCOMPLETE {
  if (framing === 'chunked') return readChunks(text)
  if (text.length < framing.length) return INCOMPLETE
  return { body: text.slice(0, framing.length), rest: text.slice(framing.length) }
}

function readChunks(text: string): { body: string; rest: string } | typeof INCOMPLETE {
  let body = ''
  for (let at = 0; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return INCOMPLETE
    const size = CHUNK_LINE.exec(text.slice(at, lineEnd))?.[1]
    if (size === undefined) throw new Fault(`a chunk's line: ${JSON.stringify(text.slice(at, lineEnd))}`)
    const from = lineEnd + 2
    const to = from + Number.parseInt(size, 16)
    if (to === from) return readTrailers(text, from, body)
    if (text.length < to + 2) return INCOMPLETE
    if (text.slice(to, to + 2) !== '\r\n') throw new Fault('chunk data of another length')
    body += text.slice(from, to)
    at = to + 2
  }
}

const NO_TRAILER = new Set(['content-length', 'transfer-encoding', 'host'])

function readTrailers(text: string, from: number, body: string): { body: string; rest: string } | typeof INCOMPLETE {
  for (let at = from; ; ) {
    const lineEnd = text.indexOf('\r\n', at)
    if (lineEnd < 0) return INCOMPLETE
    if (lineEnd === at) return { body, rest: text.slice(at + 2) }
    const [name] = fieldOf(text.slice(at, lineEnd))
    if (NO_TRAILER.has(asCgiReadsIt(name))) throw new Fault(`a trailer: ${name}`)
    at = lineEnd + 2
  }
}
