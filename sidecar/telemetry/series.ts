// Label sets interned to one object each, so that a request costs a few map look-ups and no string.
// Beyond the cap every new label set shares the overflow series of its family: memory and scrape stay bounded.

export type LabelValue = string | number | null

/** Shared by all families of one registry. */
export interface SeriesBudget {
  used: number
  readonly limit: number
  /** Observations that went to an overflow series. */
  overflowed: number
}

export interface Family<S> {
  /** The series of these label values, in the order of the names. Copies nothing; the array may be reused. */
  series(values: readonly LabelValue[]): S
  /** Label text such as `a="b",c="d"`, then the series. */
  all(): ReadonlyMap<string, S>
}

// A node is a Map from one label's value to the node of the next label, the last one to the series.
type Node<S> = Map<LabelValue, Node<S> | S>

// The name that OpenTelemetry gives to the series that takes what is over the limit.
const OVERFLOW = 'otel_metric_overflow="true"'

export function createFamily<S>(names: readonly string[], budget: SeriesBudget, create: () => S): Family<S> {
  const root: Node<S> = new Map()
  const all = new Map<string, S>()
  let overflow: S | undefined

  function add(values: readonly LabelValue[], last: Node<S>): S {
    if (budget.used >= budget.limit) {
      budget.overflowed++
      overflow ??= register(OVERFLOW)
      return overflow
    }
    budget.used++
    const found = register(labelText(names, values))
    last.set(values[names.length - 1] ?? null, found)
    return found
  }

  // A rendered label set is unique even where values differ only in type ("200" and 200).
  function register(text: string): S {
    const known = all.get(text) ?? create()
    all.set(text, known)
    return known
  }

  function series(values: readonly LabelValue[]): S {
    let node = root
    for (let i = 0; i < names.length - 1; i++) {
      const value = values[i] ?? null
      let next = node.get(value) as Node<S> | undefined
      if (next === undefined) {
        if (budget.used >= budget.limit) return add(values, node)
        next = new Map()
        node.set(value, next)
      }
      node = next
    }
    return (node.get(values[names.length - 1] ?? null) as S | undefined) ?? add(values, node)
  }

  return { series, all: () => all }
}

/** Absent (null or empty) values are left out: to Prometheus an empty label is no label. */
export function labelText(names: readonly string[], values: readonly LabelValue[]): string {
  const parts: string[] = []
  for (const [index, name] of names.entries()) {
    const value = values[index] ?? ''
    if (value !== '') parts.push(`${name}="${escapeLabelValue(String(value))}"`)
  }
  return parts.join(',')
}

// Prometheus text exposition 0.0.4: backslash, double quote and line feed. Other control characters never belong into a
// label of ours, so they become a question mark rather than reach somebody's terminal.
function escapeLabelValue(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n').replace(CONTROL, '?')
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters to find
const CONTROL = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/g
