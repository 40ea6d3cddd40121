// YAML from people who may mean harm: bounded size, depth and aliases, no keys that reach a prototype, and the place of every value.
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type ParsedNode,
  parseAllDocuments,
} from 'yaml'
import type { Problem } from './problem.ts'
import { excessOf } from './yaml-limits.ts'

const MOST_ALIASES = 100
/** Of one document; the first ones say enough. */
const MOST_MISTAKES = 20
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
  const excess = excessOf(text)
  if (excess !== undefined) {
    return { documents: [], problems: [{ file, line: 0, column: 0, object: null, path: '', ...excess }] }
  }
  const lines = new LineCounter()
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    prettyErrors: false,
    uniqueKeys: true,
    stringKeys: true,
  })
  const documents: YamlDocument[] = []
  const problems: Problem[] = []
  // Without a document there is an empty list that carries errors of its own; there are none then.
  for (const [index, document] of [...parsed].entries()) {
    const mistakes = mistakesOf(document)
    for (const { offset, found, want } of mistakes) {
      problems.push({ file, ...placeAt(lines, offset), object: `document ${index + 1}`, path: '', found, want })
    }
    const value: unknown = mistakes.length === 0 ? document.toJS({ maxAliasCount: MOST_ALIASES }) : null
    if (value !== null && value !== undefined) documents.push(locatable(document, value, lines))
  }
  return { documents, problems }
}

function locatable(document: Document.Parsed, value: unknown, lines: LineCounter): YamlDocument {
  return {
    value,
    place: placeAt(lines, offsetOf(document.contents)),
    placeOf: (path, isName) => placeAt(lines, find(document.contents, path, isName)),
  }
}

interface Mistake {
  readonly offset: number
  readonly found: string
  readonly want: string
}

function mistakesOf(document: Document.Parsed): Mistake[] {
  const mistakes = [...document.errors, ...document.warnings].slice(0, MOST_MISTAKES).map((error) => ({
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
