// What annotations can hold: a text is parsed to a value, or to undefined when it is none of the type.
import { parseCidr } from '#shared/resources/cidr.ts'
import { parseDuration } from '#shared/settings.ts'

export interface PortSpan {
  readonly from: number
  readonly to: number
}

export interface AnnotationType<T> {
  /** What a right value looks like, for the warning and docs/annotations.md. */
  readonly want: string
  parse(text: string): T | undefined
}

/** Of the Kubernetes API: kept as written beside what it amounts to, in cores or bytes. */
export interface Quantity {
  readonly text: string
  readonly amount: number
}

/** Each is a rule of iptables or part of one. */
const MOST_ITEMS = 100

/** "3306,4000-4010"; undefined when it is no such list. An empty text is an empty list. */
export function parsePortRanges(text: string): readonly PortSpan[] | undefined {
  if (text.trim() === '') return []
  const parts = text.split(',')
  if (parts.length > MOST_ITEMS) return undefined
  const ranges: PortSpan[] = []
  for (const part of parts) {
    const match = /^\s*(\d{1,5})(?:-(\d{1,5}))?\s*$/.exec(part)
    const from = Number(match?.[1])
    const to = Number(match?.[2] ?? match?.[1])
    if (!(from >= 1 && to <= 65535 && from <= to)) return undefined
    ranges.push({ from, to })
  }
  return ranges
}

/** "10.0.0.0/8,fd00::/8"; undefined when it is no such list. */
export function parseSubnets(text: string): readonly string[] | undefined {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
  return parts.length <= MOST_ITEMS && parts.every((part) => parseCidr(part) !== undefined) ? parts : undefined
}

export const portRanges: AnnotationType<readonly PortSpan[]> = {
  want: 'ports and ranges such as 3306,4000-4010',
  parse: parsePortRanges,
}

export const subnets: AnnotationType<readonly string[]> = {
  want: 'address ranges such as 10.0.0.0/8,fd00::/8',
  parse: parseSubnets,
}

const CPU_UNITS: Readonly<Record<string, number>> = { '': 1, m: 0.001 }
const MEMORY_UNITS: Readonly<Record<string, number>> = {
  '': 1,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
}

export const cpu = quantity('an amount of CPU such as 100m or 0.5, 10m to 64', CPU_UNITS, [0.01, 64])
export const memory = quantity('an amount of memory such as 128Mi, 64Mi to 16Gi', MEMORY_UNITS, [2 ** 26, 2 ** 34])

/** No more precise than a thousandth of a core or a whole byte, as the API server wants it. */
function quantity(
  want: string,
  units: Readonly<Record<string, number>>,
  [least, most]: readonly [number, number],
): AnnotationType<Quantity> {
  return {
    want,
    parse(text) {
      const match = /^(\d{1,12}(?:\.\d{1,3})?)([A-Za-z]{0,2})$/.exec(text)
      const unit = match?.[2] ?? ''
      const amount = Number(match?.[1]) * (Object.hasOwn(units, unit) ? (units[unit] ?? Number.NaN) : Number.NaN)
      return amount >= least && amount <= most ? { text, amount } : undefined
    },
  }
}

export function seconds(least: number, most: number): AnnotationType<number> {
  return {
    want: `a duration of whole seconds such as 20s, ${least}s to ${most}s`,
    parse(text) {
      const count = (parseDuration(text) ?? Number.NaN) / 1000
      return Number.isInteger(count) && count >= least && count <= most ? count : undefined
    },
  }
}

export function oneOf<const T extends string>(...values: readonly T[]): AnnotationType<T> {
  return { want: `one of ${values.join(', ')}`, parse: (text) => values.find((known) => known === text) }
}
