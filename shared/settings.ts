// Settings from the environment: declared once with default and unit, read once, every mistake reported together.
import { type Address, parseAddress } from './address.ts'

export interface Setting<T> {
  readonly variable: string
  readonly fallback: string
  /** What a right value looks like, for the error and for docs/settings.md. */
  readonly want: string
  readonly about: string
  parse(text: string): T | undefined
}

export type SettingsOf<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never }

const setting =
  <T>(want: string, parse: (text: string) => T | undefined) =>
  (variable: string, fallback: string, about: string): Setting<T> => ({ variable, fallback, want, about, parse })

const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 }

/** GEP-2257 duration ("1h30m", "500ms") to milliseconds; undefined when it is none. */
export function parseDuration(text: string): number | undefined {
  if (!/^(\d{1,5}(h|ms|s|m)){1,4}$/.test(text)) return undefined
  let total = 0
  for (const [, count, unit] of text.matchAll(/(\d+)(ms|h|m|s)/g)) total += Number(count) * (UNITS[unit ?? ''] ?? 0)
  return total
}

function parseAddresses(text: string): readonly Address[] | undefined {
  try {
    return text === '' ? [] : text.split(',').map((part) => parseAddress(part.trim()))
  } catch {
    return undefined
  }
}

export const text = setting('text', (value: string) => value)
export const port = setting('a port, 1 to 65535', (value) =>
  /^\d{1,5}$/.test(value) && Number(value) >= 1 && Number(value) <= 65535 ? Number(value) : undefined,
)
export const count = setting('a whole number', (value) => (/^\d{1,9}$/.test(value) ? Number(value) : undefined))
export const milliseconds = setting('a duration such as 200ms, 30s or 1h', parseDuration)
export const flag = setting('true or false', (value) =>
  value === 'true' || value === 'false' ? value === 'true' : undefined,
)
export const list = setting('a list parted by commas', (value) =>
  value === '' ? [] : value.split(',').map((item) => item.trim()),
)
export const addresses = setting(
  'addresses with ports parted by commas, such as 10.77.0.1:15010,[fd77::1]:15010',
  parseAddresses,
)
export const oneOf = <const T extends string>(...values: readonly T[]) =>
  setting(`one of ${values.join(', ')}`, (value) => values.find((known) => known === value))

/** A row that every component has. */
export const LOG_LEVEL = oneOf(
  'trace',
  'debug',
  'info',
  'warn',
  'error',
  'silent',
)('WEFT_LOG_LEVEL', 'info', 'Level of the log.')

/** Reads and freezes; throws one Error that names every bad variable, what was found and what would be right. */
export function readSettings<S extends Record<string, Setting<unknown>>>(
  declared: S,
  environment: NodeJS.ProcessEnv,
): SettingsOf<S> {
  const mistakes: string[] = []
  const values: Record<string, unknown> = {}
  for (const [name, item] of Object.entries(declared)) {
    const found = environment[item.variable] ?? item.fallback
    const value = item.parse(found)
    if (value === undefined) mistakes.push(`${item.variable}=${found}: want ${item.want}`)
    values[name] = value
  }
  if (mistakes.length > 0) throw new Error(mistakes.join('\n'))
  return Object.freeze(values) as SettingsOf<S>
}
