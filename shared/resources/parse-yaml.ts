// YAML from people who may mean harm: bounded size, depth and aliases, no keys that reach a prototype, and the place of every value.
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  Lexer,
  LineCounter,
  type ParsedNode,
  Parser,
  parseAllDocuments,
} from 'yaml'
import type { Problem } from './problem.ts'

const MOST_CHARACTERS = 1024 * 1024
const MOST_DEPTH = 64
const MOST_ALIASES = 100
const FORBIDDEN = new Set(['__proto__', 'constructor', 'prototype'])

export interface Place {
  readonly line: number
  readonly column: number
}

export interface YamlDocument {
  readonly value: unknown
  readonly place: Place
  /** The place of the value at a path (of its name, if asked), or of the nearest thing that is there. */
  placeOf(path: readonly PropertyKey[], isName: boolean): Place
}

export interface ParsedYaml {
  readonly documents: readonly YamlDocument[]
  readonly problems: readonly Problem[]
}

export function parseYaml(file: string, text: string): ParsedYaml {
  const whole = (found: string, want: string): ParsedYaml => ({
    documents: [],
    problems: [{ file, line: 0, column: 0, object: null, path: '', found, want }],
  })
  if (text.length > MOST_CHARACTERS)
    return whole(`${text.length} characters`, `a file of at most ${MOST_CHARACTERS}; part it into several`)
  if (isTooDeep(text)) return whole(`values nested deeper than ${MOST_DEPTH}`, `at most ${MOST_DEPTH} levels`)
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    stringKeys: true,
  })
  if (!Array.isArray(parsed)) return { documents: [], problems: [] }
  const documents: YamlDocument[] = []
  const problems: Problem[] = []
  for (const [index, document] of parsed.entries()) {
    const mistakes = mistakesOf(document)
    for (const mistake of mistakes) {
      problems.push({
        file,
        ...placeAt(lines, mistake.offset),
        object: `document ${index + 1}`,
        path: '',
        found: mistake.found,
        want: mistake.want,
      })
    }
    if (mistakes.length === 0) read(document)
  }
  return { documents, problems }

  function read(document: Document.Parsed): void {
    const value: unknown = document.toJS({ maxAliasCount: MOST_ALIASES })
    if (value === null || value === undefined) return
    documents.push({
      value,
      place: placeAt(lines, offsetOf(document.contents)),
      placeOf: (path, isName) => placeAt(lines, find(document.contents, path, isName)),
    })
  }
}

interface Mistake {
  readonly offset: number
  readonly found: string
  readonly want: string
}

function mistakesOf(document: Document.Parsed): Mistake[] {
  const mistakes = [...document.errors, ...document.warnings].map((error) => ({
    offset: error.pos[0],
    found: `what YAML does not allow (${error.message.replaceAll('\n', ' ').slice(0, 200)})`,
    want: 'valid YAML 1.2',
  }))
  if (mistakes.length === 0) collectKeyMistakes(document.contents, mistakes)
  if (mistakes.length > 0) return mistakes
  try {
    document.toJS({ maxAliasCount: MOST_ALIASES })
    return []
  } catch (error) {
    const said = error instanceof Error ? error.message : String(error)
    return [
      {
        offset: offsetOf(document.contents),
        found: `aliases that cannot be followed (${said})`,
        want: `at most ${MOST_ALIASES} uses of aliases, none within itself`,
      },
    ]
  }
}

function collectKeyMistakes(node: unknown, mistakes: Mistake[]): void {
  if (isSeq(node)) for (const item of node.items) collectKeyMistakes(item, mistakes)
  if (!isMap(node)) return
  for (const { key, value } of node.items) {
    if (isAlias(key)) mistakes.push({ offset: offsetOf(key), found: 'an alias as a key', want: 'a plain name' })
    else if (isScalar(key) && FORBIDDEN.has(String(key.value))) {
      mistakes.push({
        offset: offsetOf(key),
        found: `the key "${String(key.value)}"`,
        want: 'another name: this one is reserved',
      })
    }
    collectKeyMistakes(value, mistakes)
  }
}

/** Walks the tokens without recursion, as the composer that comes later recurses. */
function isTooDeep(text: string): boolean {
  if (isFlowTooDeep(text)) return true
  const waiting: { token: unknown; depth: number }[] = []
  for (const token of new Parser().parse(text)) waiting.push({ token, depth: 0 })
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.depth > MOST_DEPTH) return true
    for (const child of childrenOf(next.token)) waiting.push({ token: child, depth: next.depth + 1 })
  }
  return false
}

/** Brackets alone, from the lexer, which stops where it is told to: a parser would first build it all. */
function isFlowTooDeep(text: string): boolean {
  let depth = 0
  for (const token of new Lexer().lex(text)) {
    if (token === '[' || token === '{') depth++
    else if (token === ']' || token === '}') depth--
    if (depth > MOST_DEPTH) return true
  }
  return false
}

function childrenOf(token: unknown): unknown[] {
  if (typeof token !== 'object' || token === null) return []
  const { value, items } = token as { value?: unknown; items?: unknown }
  const children: unknown[] = typeof value === 'object' ? [value] : []
  if (Array.isArray(items))
    for (const item of items as { key?: unknown; value?: unknown }[]) children.push(item.key, item.value)
  return children.filter((child) => typeof child === 'object' && child !== null)
}

/** The offset of the deepest thing on the path that is there. */
function find(root: ParsedNode | null, path: readonly PropertyKey[], isName: boolean): number {
  let node: unknown = root
  let offset = offsetOf(root)
  for (const [index, part] of path.entries()) {
    const step = childAt(node, part)
    if (step === undefined) return offset
    node = step.value
    const isValueWanted = step.name === undefined || !(isName && index === path.length - 1)
    // A map's own place is its first key: until the end of the path the name says more. Nothing after the colon: its name.
    const isPassing = step.name !== undefined && isMap(node) && index < path.length - 1
    offset = (isValueWanted && !isPassing && offsetOf(node)) || step.name || offset
  }
  return offset
}

function childAt(node: unknown, part: PropertyKey): { value: unknown; name: number | undefined } | undefined {
  if (isSeq(node)) return { value: node.items[Number(part)], name: undefined }
  if (!isMap(node)) return undefined
  const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part))
  return pair && { value: pair.value, name: offsetOf(pair.key) }
}

function offsetOf(node: unknown): number {
  return isNode(node) ? (node.range?.[0] ?? 0) : 0
}

function placeAt(lines: LineCounter, offset: number): Place {
  const { line, col } = lines.linePos(offset)
  return { line: Math.max(line, 1), column: Math.max(col, 1) }
}
