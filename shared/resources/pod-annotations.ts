// config.weft.dev/* on a workload: what the sidecar leaves alone. Each key has a schema; an unknown one is a mistake.
import { parseCidr } from './cidr.ts'
import { nearest } from './nearest.ts'

const PREFIX = 'config.weft.dev/'

export interface PortRange {
  readonly from: number
  readonly to: number
}

/** "3306,4000-4010"; undefined when it is no such list. An empty text is an empty list. */
export function parsePortRanges(text: string): readonly PortRange[] | undefined {
  if (text.trim() === '') return []
  const ranges: PortRange[] = []
  for (const part of text.split(',')) {
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
  return parts.every((part) => parseCidr(part) !== undefined) ? parts : undefined
}

const PORTS = {
  want: 'ports and ranges such as 3306,4000-4010',
  isRight: (text: string) => parsePortRanges(text) !== undefined,
}

const KNOWN: Readonly<Record<string, { want: string; isRight(text: string): boolean }>> = {
  'config.weft.dev/skip-inbound-ports': PORTS,
  'config.weft.dev/skip-outbound-ports': PORTS,
  'config.weft.dev/opaque-ports': PORTS,
  'config.weft.dev/skip-subnets': {
    want: 'address ranges such as 10.0.0.0/8,fd00::/8',
    isRight: (text) => parseSubnets(text) !== undefined,
  },
}

export interface AnnotationMistake {
  readonly key: string
  readonly want: string
  /** True: the key itself is wrong. */
  readonly isUnknown: boolean
}

export function annotationMistakes(annotations: Readonly<Record<string, string>>): readonly AnnotationMistake[] {
  const mistakes: AnnotationMistake[] = []
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(PREFIX)) continue
    const known = Object.hasOwn(KNOWN, key) ? KNOWN[key] : undefined
    if (known === undefined) {
      const names = Object.keys(KNOWN)
      const meant = nearest(key, names)
      mistakes.push({
        key,
        isUnknown: true,
        want: meant === undefined ? `one of ${names.join(', ')}` : `"${meant}" (known: ${names.join(', ')})`,
      })
    } else if (!known.isRight(value)) mistakes.push({ key, isUnknown: false, want: known.want })
  }
  return mistakes
}
