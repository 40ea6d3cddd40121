// A strict reader of the Prometheus text format 0.0.4: it refuses what a scraper might forgive.

export interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface Page {
  readonly samples: readonly Sample[]
  readonly types: ReadonlyMap<string, string>
  readonly helps: ReadonlyMap<string, string>
  all(name: string): Sample[]
  /** Of exactly these labels; undefined if there is no such sample. */
  value(name: string, labels: Readonly<Record<string, string>>): number | undefined
  /** The metric that a sample belongs to: a histogram's are x_bucket, x_sum and x_count. */
  familyOf(sampleName: string): string
}

const NAME = '[a-zA-Z_:][a-zA-Z0-9_:]*'
const HELP = new RegExp(`^# HELP (${NAME}) (.+)$`)
const TYPE = new RegExp(`^# TYPE (${NAME}) (counter|gauge|histogram)$`)
const SAMPLE = new RegExp(`^(${NAME})(?:\\{(.*)\\})? (-?[0-9.e+-]+|[+-]Inf|NaN)$`)
// Only the three escapes of the format, nothing else after a backslash.
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\n"])*)"(,|$)/y

/** Throws at the first line that breaks a rule of the format. */
export function parseExposition(text: string): Page {
  if (!text.endsWith('\n')) throw new Error('the last line must end with a line feed')
  const reader = new Reader()
  for (const line of text.slice(0, -1).split('\n')) reader.read(line)
  const page = pageOf(reader.samples, reader.types, reader.helps)
  checkHistograms(page)
  return page
}

class Reader {
  readonly types = new Map<string, string>()
  readonly helps = new Map<string, string>()
  readonly samples: Sample[] = []
  readonly #seen = new Set<string>()
  #family = ''

  read(line: string): void {
    if (!line.startsWith('#')) return this.#readSample(line)
    const help = HELP.exec(line)
    const type = TYPE.exec(line)
    if (help !== null) this.#begin(help[1] ?? '', help[2] ?? '')
    else if (type !== null && type[1] === this.#family) this.types.set(this.#family, type[2] ?? '')
    else throw new Error(`neither HELP nor the TYPE that follows it: ${line}`)
  }

  #begin(family: string, help: string): void {
    if (this.helps.has(family)) throw new Error(`second HELP of ${family}: lines of a family must stand together`)
    this.#family = family
    this.helps.set(family, help)
  }

  #readSample(line: string): void {
    const sample = parseSample(line)
    checkFamily(sample, this.#family, this.types.get(this.#family))
    const series = line.slice(0, line.lastIndexOf(' '))
    if (this.#seen.has(series)) throw new Error(`twice: ${line}`)
    this.#seen.add(series)
    this.samples.push(sample)
  }
}

function parseSample(line: string): Sample {
  const match = SAMPLE.exec(line)
  if (match === null) throw new Error(`not a sample: ${line}`)
  const [, name = '', labelText = '', valueText = ''] = match
  const labels: Record<string, string> = {}
  LABEL.lastIndex = 0
  while (LABEL.lastIndex < labelText.length) {
    const label = LABEL.exec(labelText)
    if (label === null) throw new Error(`not labels: ${labelText}`)
    const [, key = '', value = ''] = label
    if (key in labels) throw new Error(`label ${key} twice: ${line}`)
    labels[key] = value.replace(/\\(.)/g, (_, escaped: string) => (escaped === 'n' ? '\n' : escaped))
  }
  const value = Number(valueText.replace('Inf', 'Infinity'))
  if (Number.isNaN(value) && valueText !== 'NaN') throw new Error(`not a number: ${line}`)
  return { name, labels, value }
}

function checkFamily(sample: Sample, family: string, type: string | undefined): void {
  if (type === undefined) throw new Error(`${sample.name} has no TYPE before it`)
  const names = type === 'histogram' ? [`${family}_bucket`, `${family}_sum`, `${family}_count`] : [family]
  if (!names.includes(sample.name)) throw new Error(`${sample.name} stands among the lines of ${family}`)
  if (type === 'counter' && (sample.value < 0 || !family.endsWith('_total'))) throw new Error(`bad counter ${family}`)
}

/** Buckets rise, end with +Inf and agree with the count. */
function checkHistograms(page: Page): void {
  for (const [family, type] of page.types) {
    if (type !== 'histogram') continue
    for (const count of page.all(`${family}_count`)) {
      const buckets = page
        .all(`${family}_bucket`)
        .filter(({ labels: { le: _, ...rest } }) => isSame(rest, count.labels))
        .map((sample) => ({ le: Number(sample.labels['le']?.replace('Inf', 'Infinity')), value: sample.value }))
      const isRising = buckets.every((bucket, index) => {
        const before = buckets[index - 1] ?? { le: Number.NEGATIVE_INFINITY, value: 0 }
        return bucket.le > before.le && bucket.value >= before.value
      })
      if (!isRising) throw new Error(`buckets of ${family} do not rise`)
      const last = buckets.at(-1)
      if (last?.le !== Number.POSITIVE_INFINITY || last.value !== count.value)
        throw new Error(`+Inf of ${family} is not its count`)
      if (page.value(`${family}_sum`, count.labels) === undefined) throw new Error(`${family} has no sum`)
    }
  }
}

function pageOf(
  samples: readonly Sample[],
  types: ReadonlyMap<string, string>,
  helps: ReadonlyMap<string, string>,
): Page {
  const all = (name: string) => samples.filter((sample) => sample.name === name)
  return {
    samples,
    types,
    helps,
    all,
    value: (name, labels) => all(name).find((sample) => isSame(sample.labels, labels))?.value,
    familyOf: (name) => (types.has(name) ? name : name.replace(/_(bucket|sum|count)$/, '')),
  }
}

function isSame(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a)
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key])
}
