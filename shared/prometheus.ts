// The text exposition format of Prometheus, 0.0.4: what the pages of control, certs and injector are written with.

export type Labels = Readonly<Record<string, string>>
export type Sample = readonly [labels: Labels, value: number]

/** The lines of one metric; none where there are no samples. */
export function writeMetric(
  type: 'counter' | 'gauge',
  name: string,
  help: string,
  samples: Iterable<Sample>,
): readonly string[] {
  const lines = [...samples].map(([labels, value]) => `${name}${writeLabels(labels)} ${value}`)
  return lines.length === 0 ? [] : [...head(type, name, help), ...lines]
}

export interface Histogram {
  observe(durationMs: number): void
  lines(): readonly string[]
}

/** Seconds; dense where reviews and compilations are. */
const BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5]

export function createHistogram(name: string, help: string): Histogram {
  const buckets = BUCKETS.map(() => 0)
  let sum = 0
  let total = 0
  return {
    observe(durationMs) {
      const seconds = durationMs / 1000
      total++
      sum += seconds
      for (const [index, bound] of BUCKETS.entries()) if (seconds <= bound) buckets[index] = (buckets[index] ?? 0) + 1
    },
    lines: () => [
      ...head('histogram', name, help),
      ...BUCKETS.map((bound, index) => `${name}_bucket{le="${bound}"} ${buckets[index]}`),
      `${name}_bucket{le="+Inf"} ${total}`,
      `${name}_sum ${sum}`,
      `${name}_count ${total}`,
    ],
  }
}

export interface Counter<Key extends string> {
  count(key: Key): void
  lines(): readonly string[]
}

/** By the values of one label, all of which are there from the start: a rate of what is not there yet is none. */
export function createCounter<Key extends string>(
  name: string,
  help: string,
  of: { readonly label: string; readonly values: readonly Key[] },
): Counter<Key> {
  const counts = new Map(of.values.map((value) => [value, 0]))
  return {
    count(key) {
      counts.set(key, (counts.get(key) ?? 0) + 1)
    },
    lines: () =>
      writeMetric(
        'counter',
        name,
        help,
        [...counts].map(([value, count]) => [{ [of.label]: value }, count] as const),
      ),
  }
}

export const toSeconds = (date: Date): number => Math.floor(date.getTime() / 1000)

export const joinLines = (...metrics: readonly (readonly string[])[]): string => `${metrics.flat().join('\n')}\n`

const head = (type: string, name: string, help: string) => [`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`]

function writeLabels(labels: Labels): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}="${value.replace(/["\\\n]/g, escapeCharacter)}"`)
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`
}

const escapeCharacter = (character: string) => (character === '\n' ? '\\n' : `\\${character}`)
