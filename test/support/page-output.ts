// Whether what a command printed is what a page shows of it. There "..." stands for anything within a line, and alone on a line for
// any lines; ages, the letters at the end of a pod's name and the width of spaces may differ; nothing else may.

/** Kubernetes makes the ends of names of these only. */
const LETTERS = '[bcdfghjklmnpqrstvwxz2456789]'
const POD = `-${LETTERS}{6,10}-${LETTERS}{5}\\b`
const AGE = '\\b\\d+(?:\\.\\d+)?(?:ms|[smhd])(?:\\d+[smhd])?\\b'
const NUMBER = '\\d+'
const TOKEN = new RegExp(`(?<gap>\\.\\.\\.)|(?<space>\\s+)|(?<pod>${POD})|(?<age>${AGE})|(?<number>${NUMBER})`, 'g')
const GAP = '...'

/** null: none. */
export function difference(shown: string, printed: string, doNumbersVary = false): string | null {
  const patterns = linesOf(shown).map((line) => (line === GAP ? GAP : patternOf(line, doNumbersVary)))
  if (matches(patterns, linesOf(printed))) return null
  return `the page shows\n${shown.trimEnd()}\nand this came\n${printed.trimEnd()}`
}

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => line.trim())

function matches(patterns: readonly (RegExp | typeof GAP)[], lines: readonly string[]): boolean {
  const [pattern, ...later] = patterns
  if (pattern === undefined) return lines.length === 0
  if (pattern === GAP) return lines.some((_, from) => matches(later, lines.slice(from))) || matches(later, [])
  const [line, ...rest] = lines
  return line !== undefined && pattern.test(line) && matches(later, rest)
}

function patternOf(line: string, doNumbersVary: boolean): RegExp {
  let pattern = ''
  let from = 0
  for (const { index, 0: text, groups } of line.matchAll(TOKEN)) {
    pattern += RegExp.escape(line.slice(from, index)) + (wildcardOf(groups ?? {}, doNumbersVary) ?? RegExp.escape(text))
    from = index + text.length
  }
  return new RegExp(`^${pattern}${RegExp.escape(line.slice(from))}$`)
}

function wildcardOf(found: Readonly<Record<string, string | undefined>>, doNumbersVary: boolean): string | null {
  if (found['gap'] !== undefined) return '.*'
  if (found['space'] !== undefined) return '\\s+'
  if (found['pod'] !== undefined) return POD
  if (found['age'] !== undefined) return AGE
  return doNumbersVary ? NUMBER : null
}
