// Values as Helm merges them: defaults, then each file, then each --set. Maps are merged, all else is replaced, null removes.
import type { Values } from './render.ts'

export function mergeValues(base: Values, over: Values): Values {
  const merged: Record<string, unknown> = { ...base }
  for (const [name, value] of Object.entries(over)) {
    const before = merged[name]
    if (value === null) delete merged[name]
    else merged[name] = isMap(before) && isMap(value) ? mergeValues(before, value) : value
  }
  return merged
}

/** "control.replicas=3" as { control: { replicas: 3 } }; undefined where it is more than a path and a scalar. */
export function parseAssignment(assignment: string): Values | undefined {
  const [, path = '', text = ''] = /^([A-Za-z][\w.]*)=([^,{}[\]\\]*)$/.exec(assignment) ?? []
  if (path === '') return undefined
  return path
    .split('.')
    .toReversed()
    .reduce<Values>((inner, name, index) => ({ [name]: index === 0 ? scalar(text) : inner }), {})
}

/** As Helm types what stands after "=": other numbers than whole ones stay text. */
function scalar(text: string): unknown {
  if (text === 'true' || text === 'false') return text === 'true'
  if (text === 'null') return null
  return /^(0|-?[1-9]\d{0,14})$/.test(text) ? Number(text) : text
}

function isMap(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
