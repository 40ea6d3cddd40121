// A mistake in a document: where it is, what was found and what would be right. The CLI, the control plane and the webhook show the same text.
import { printable } from '#shared/printable.ts'

export interface Problem {
  readonly file: string
  /** Counted from 1; 0 when the place is unknown. */
  readonly line: number
  readonly column: number
  /** "HTTPRoute shop/catalog"; "document 2" while a document's kind and name are not known; null: the whole file. */
  readonly object: string | null
  /** "spec.rules[0].backendRefs[1].weight"; empty: the whole object. */
  readonly path: string
  readonly found: string
  readonly want: string
  /**
   * A name of a field, or one of several named values, that is not known or not supported here. An API server lets none through but
   * by its own CRDs, so there it is right for somebody: a later version, or another implementation.
   */
  readonly isForeign?: true
}

/** One line: mesh.yaml:12:9: HTTPRoute shop/catalog: spec.rules[0].name: found 3; want text (in quotes: "3") */
export function formatProblem(problem: Problem): string {
  const place = problem.line > 0 ? `${problem.file}:${problem.line}:${problem.column}` : problem.file
  const parts = problem.object === null ? [place] : [place, problem.object]
  return [...parts, describeProblem(problem)].join(': ')
}

/** Of an object that is known to whoever reads it: spec.rules[0].name: found 3; want text (in quotes: "3") */
export function describeProblem({ path, found, want }: Problem): string {
  return printable(`${path === '' ? '' : `${path}: `}found ${found}; want ${want}`)
}

/** ["spec", "rules", 0, "name"] to "spec.rules[0].name"; names that are no plain word are quoted. */
export function formatPath(path: readonly PropertyKey[]): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[A-Za-z_][A-Za-z0-9_-]*$/.test(String(part))) text += text === '' ? String(part) : `.${String(part)}`
    else text += `[${JSON.stringify(String(part))}]`
  }
  return text
}

/** A value as people would say it, at most a line long. */
export function describeValue(value: unknown): string {
  if (value === undefined) return 'nothing'
  if (value === null) return 'nothing (null)'
  if (typeof value === 'string')
    return value.length > 60
      ? `${JSON.stringify(value.slice(0, 57))}... (${value.length} characters)`
      : JSON.stringify(value)
  if (Array.isArray(value)) return value.length === 1 ? 'a list of 1 item' : `a list of ${value.length} items`
  if (typeof value === 'object') {
    const names = Object.keys(value)
    if (names.length === 0) return 'an empty map'
    return `a map with ${names.slice(0, 4).join(', ')}${names.length > 4 ? ', ...' : ''}`.slice(0, 120)
  }
  return String(value)
}
