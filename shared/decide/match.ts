// One match of a rule, compiled: prefixes prepared, expressions built once. All its parts must hold.
import type { PathMatch, RequestFacts, RouteMatch, StringMatch } from './config.ts'
import { canonicalPath } from './facts.ts'
import { compileRegex, type Regex } from './regex.ts'
import { type RequestView, readAuthority } from './view.ts'

type TextTest = { readonly exact: string } | { readonly exact: null; readonly regex: Regex }

interface PathTest {
  readonly type: PathMatch['type']
  /** Canonical; of a prefix without a trailing slash, so "" stands for all paths. */
  readonly value: string
  readonly regex: Regex | null
}

export interface CompiledMatch {
  readonly path: PathTest | null
  readonly method: string | null
  /** Names in lower case. */
  readonly headers: readonly { readonly name: string; readonly test: TextTest }[]
  readonly host: readonly TextTest[]
  readonly query: readonly { readonly name: string; readonly test: TextTest }[]
  readonly needsView: boolean
}

export function compileMatch(match: RouteMatch): CompiledMatch {
  const named = (match.headers ?? []).map((header) => ({ ...header, name: header.name.toLowerCase() }))
  const query = (match.queryParams ?? []).map((item) => ({ name: item.name, test: compileText(item) }))
  const host = named.filter(({ name }) => name === 'host').map(compileHost)
  return {
    path: match.path === undefined ? null : compilePath(match.path),
    method: match.method ?? null,
    headers: named.filter(({ name }) => name !== 'host').map((item) => ({ name: item.name, test: compileText(item) })),
    host,
    query,
    needsView: query.length > 0 || host.length > 0,
  }
}

/** Whether the outcome can depend on how a path is spelt. */
export function looksAtPath(match: CompiledMatch): boolean {
  return match.path !== null && !(match.path.type === 'PathPrefix' && match.path.value === '')
}

function compilePath(match: PathMatch): PathTest {
  if (match.type === 'RegularExpression') return { type: match.type, value: '', regex: compileRegex(match.value) }
  const { path } = canonicalPath(match.value)
  const value = match.type === 'PathPrefix' && path.endsWith('/') ? path.slice(0, -1) : path
  return { type: match.type, value, regex: null }
}

function compileText(match: StringMatch): TextTest {
  return match.type === 'Exact' ? { exact: match.value } : { exact: null, regex: compileRegex(match.value) }
}

/** A host is compared without regard to case, and to a trailing dot. */
function compileHost(match: StringMatch): TextTest {
  return match.type === 'Exact' ? { exact: readAuthority(match.value).hostAndPort } : compileText(match)
}

/** `view` may be null only where no match of the destination needs it. */
export function holds(match: CompiledMatch, facts: RequestFacts, view: RequestView | null): boolean {
  if (match.method !== null && match.method !== facts.method) return false
  if (match.path !== null && !pathHolds(match.path, facts.path)) return false
  for (const { name, test } of match.headers) if (!headerHolds(name, test, facts.fields)) return false
  if (!match.needsView) return true
  return view !== null && viewHolds(match, view)
}

function pathHolds(test: PathTest, path: string): boolean {
  if (test.type === 'Exact') return path === test.value
  if (test.regex !== null) return test.regex.matches(path)
  if (test.value === '') return true
  // By whole elements: "/api" holds for "/api" and "/api/x", never for "/apis".
  return path.startsWith(test.value) && (path.length === test.value.length || path.charCodeAt(test.value.length) === 47)
}

/** Each value on its own, never joined: a joined text could match what no value does. */
function headerHolds(name: string, test: TextTest, fields: readonly string[]): boolean {
  for (let i = 0; i < fields.length; i += 2) {
    const found = fields[i] as string
    if (found.length !== name.length || (found !== name && found.toLowerCase() !== name)) continue
    if (textHolds(test, fields[i + 1] as string)) return true
  }
  return false
}

function viewHolds(match: CompiledMatch, view: RequestView): boolean {
  for (const test of match.host) if (!textHolds(test, view.host) && !textHolds(test, view.hostAndPort)) return false
  for (const { name, test } of match.query) if (!queryHolds(name, test, view.query)) return false
  return true
}

/** The first value of a name counts, as the Gateway API recommends. */
function queryHolds(name: string, test: TextTest, query: readonly string[]): boolean {
  for (let i = 0; i < query.length; i += 2) if (query[i] === name) return textHolds(test, query[i + 1] as string)
  return false
}

function textHolds(test: TextTest, value: string): boolean {
  return test.exact === null ? test.regex.matches(value) : test.exact === value
}
