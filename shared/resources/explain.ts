// From zod's issues to Problems without places: path, what was found, what would be right.
import type { z } from 'zod'
import { LEFT_OUT, wantInstead } from './fields.ts'
import { describeValue, formatPath, type Problem } from './problem.ts'

export interface Explained {
  readonly path: readonly PropertyKey[]
  /** True: the name at the end of the path is wrong, not its value. */
  readonly isName: boolean
  readonly text: Pick<Problem, 'path' | 'found' | 'want' | 'isForeign'>
}

/** For schemas that say nothing themselves. */
export function wantByDefault(issue: z.core.$ZodRawIssue): string {
  switch (issue.code) {
    case 'invalid_type':
      return TYPES[issue.expected] ?? `a value of type ${issue.expected}`
    case 'invalid_value':
      return issue.values.length === 1
        ? describeValue(issue.values[0])
        : `one of ${issue.values.map(String).join(', ')}`
    default:
      return 'another value'
  }
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
  record: 'a map',
}

/** Of one map that are told; who has so many wrote something else. */
const MOST_KEYS = 100

export function explain(issue: z.core.$ZodIssue, document: unknown): Explained[] {
  if (issue.code === 'unrecognized_keys') {
    const shown = issue.keys.slice(0, MOST_KEYS)
    return shown.map((key) => unknownField(document, [...issue.path, key], wantInstead(key, issue.message)))
  }
  if (issue.code === 'invalid_key') {
    return [
      explained(
        issue.path,
        `the key ${describeValue(issue.path.at(-1))}`,
        issue.issues[0]?.message ?? 'another key',
        true,
      ),
    ]
  }
  const value = valueAt(document, issue.path)
  const given: unknown = issue.code === 'custom' ? issue.params?.['found'] : undefined
  const found = typeof given === 'string' ? given : describeValue(value)
  const one = explained(issue.path, found, issue.message + quoteHint(issue, value), false)
  return [issue.code === 'invalid_value' ? asForeign(one) : one]
}

function explained(path: readonly PropertyKey[], found: string, want: string, isName: boolean): Explained {
  return { path, isName, text: { path: formatPath(path), found, want } }
}

const asForeign = ({ text, ...rest }: Explained): Explained => ({ ...rest, text: { ...text, isForeign: true } })

function unknownField(document: unknown, path: readonly PropertyKey[], want: string): Explained {
  const found = want === LEFT_OUT ? notSupported(valueAt(document, path)) : 'an unknown field'
  return asForeign(explained(path, found, want, true))
}

/** Filters say by their type what they are. */
function notSupported(value: unknown): string {
  const items: readonly unknown[] = Array.isArray(value) ? value : []
  const types = items.map((item) => (item as { readonly type?: unknown } | null)?.type)
  const named = [...new Set(types)].filter((type) => typeof type === 'string' && /^\w{1,40}$/.test(type)).slice(0, 4)
  return `a field that is not supported yet${named.length === 0 ? '' : ` (${named.join(', ')})`}`
}

/** YAML reads 8080 as a number and "8080" as text: say so where the other was wanted. */
function quoteHint(issue: z.core.$ZodIssue, value: unknown): string {
  if (issue.code !== 'invalid_type') return ''
  if (issue.expected === 'string') {
    // A duration wants its unit first.
    if (issue.message.startsWith('a duration')) return ''
    return typeof value === 'number' || typeof value === 'boolean' ? ` (in quotes: "${value}")` : ''
  }
  const isPlain = typeof value === 'string' && /^(-?\d{1,15}|true|false)$/.test(value)
  return isPlain && (issue.expected === 'number' || issue.expected === 'int' || issue.expected === 'boolean')
    ? ` (without quotes: ${value})`
    : ''
}

function valueAt(document: unknown, path: readonly PropertyKey[]): unknown {
  let value = document
  for (const part of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, part)) return undefined
    value = (value as Record<PropertyKey, unknown>)[part]
  }
  return value
}
