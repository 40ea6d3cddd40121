// How much YAML is read at all. Without limits a file of a megabyte keeps a process busy for seconds, or overflows its stack.
import { Lexer, Parser } from 'yaml'

const MOST_CHARACTERS = 1024 * 1024
const MOST_DEPTH = 64
const MOST_TOKENS = 200_000
const MOST_ITEMS = 2000

interface Excess {
  readonly found: string
  readonly want: string
}

/**
 * What is too much, found before anything is built of it. The lexer stops where it is told to; the parser does not recurse, as
 * the composer that comes later does.
 */
export function excessOf(text: string): Excess | undefined {
  if (text.length > MOST_CHARACTERS) {
    return { found: `${text.length} characters`, want: `a file of at most ${MOST_CHARACTERS}; part it into several` }
  }
  let depth = 0
  let count = 0
  for (const token of new Lexer().lex(text)) {
    count++
    if (token === '[' || token === '{') depth++
    else if (token === ']' || token === '}') depth--
    if (depth > MOST_DEPTH) return TOO_DEEP
    if (count > MOST_TOKENS)
      return { found: `more than ${MOST_TOKENS} tokens`, want: 'fewer; part the file into several' }
  }
  return excessIn(new Parser().parse(text))
}

const TOO_DEEP = { found: `values nested deeper than ${MOST_DEPTH}`, want: `at most ${MOST_DEPTH} levels` }

function excessIn(documents: Iterable<unknown>): Excess | undefined {
  const waiting: { token: unknown; depth: number }[] = []
  for (const token of documents) waiting.push({ token, depth: 0 })
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    if (next.depth > MOST_DEPTH) return TOO_DEEP
    const children = childrenOf(next.token)
    // The composer compares each key of a map with each other.
    if (children.length > 2 * MOST_ITEMS)
      return { found: `a map or list of more than ${MOST_ITEMS} items`, want: 'fewer' }
    for (const child of children) waiting.push({ token: child, depth: next.depth + 1 })
  }
  return undefined
}

function childrenOf(token: unknown): unknown[] {
  if (typeof token !== 'object' || token === null) return []
  const { value, items } = token as { value?: unknown; items?: unknown }
  const children: unknown[] = typeof value === 'object' ? [value] : []
  if (Array.isArray(items))
    for (const item of items as { key?: unknown; value?: unknown }[]) children.push(item.key, item.value)
  return children.filter((child) => typeof child === 'object' && child !== null)
}

/** Far more than any object has that its CRD lets through. */
const MOST_VALUES = 50_000

/** The same for what was parsed by somebody else, no deeper than he allows. */
export function excessOfValue(value: unknown): Excess | undefined {
  const open = [value]
  for (let count = 0; open.length > 0; count++) {
    if (count + open.length > MOST_VALUES)
      return { found: `more than ${MOST_VALUES} values`, want: 'fewer; part the object into several' }
    const next = open.pop()
    if (typeof next !== 'object' || next === null) continue
    const items: readonly unknown[] = Object.values(next)
    if (items.length > MOST_ITEMS && !Array.isArray(next))
      return { found: `${items.length} items in a map`, want: `at most ${MOST_ITEMS} in each` }
    // A list that is too long is refused by its schema, which says how long it may be.
    if (items.length <= MOST_ITEMS) open.push(...items)
  }
  return undefined
}
