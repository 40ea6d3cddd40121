// Users' regular expressions: RE2 syntax, linear time. Nothing else in Weft may turn a user's text into a RegExp.
import { RE2JS } from 're2js'

/** Time to match is at most steps of the program times length of the value. */
const MOST_STEPS = 2000
const MOST_CHARACTERS = 1024
/** A longer value matches no expression: the largest value that the Gateway API can name. */
const LONGEST_VALUE = 4096

export interface Regex {
  /** Whether the whole value matches. */
  matches(value: string): boolean
}

/** Undefined when it compiles, else what would be right. */
export function regexMistake(pattern: string): string | undefined {
  if (pattern.length > MOST_CHARACTERS) return `a regular expression of at most ${MOST_CHARACTERS} characters`
  const about = estimateSteps(pattern)
  // Before it is compiled, which takes a second for a short text with large repeats.
  if (about > MOST_STEPS * 4) return `a simpler regular expression (about ${about} steps, at most ${MOST_STEPS})`
  try {
    const steps = RE2JS.compile(pattern).programSize()
    return steps > MOST_STEPS ? `a simpler regular expression (${steps} steps, at most ${MOST_STEPS})` : undefined
  } catch (error) {
    return `a regular expression in RE2 syntax (${error instanceof Error ? error.message : String(error)})`
  }
}

const TOKEN =
  /\((?:\?(?:P?<\w+>|[a-zA-Z-]*:?))?|\\[pP]\{[^}]*\}|\\.|\[\^?\]?(?:\[:\w+:\]|\\.|[^\]\\])*\]|\{(\d+)(?:,(\d*))?\}|[\s\S]/gu

/** One with (?i) takes as long to compile as some forty characters. */
const UNICODE_CLASS = /\\[pP]/g
const CLASS_STEPS = 39

/** Of a text that regexMistake() takes: about how many steps its program has. An atom is a step, a counted repeat takes what it repeats so many times. Wrong texts have some number too. */
export function estimateSteps(pattern: string): number {
  const open: number[] = []
  let [sum, last] = [0, 0]
  for (const [token, least, most] of pattern.matchAll(TOKEN)) {
    if (least !== undefined) {
      sum += last * (Math.max(Number(least), Number(most || 0)) - 1)
      last = 0
    } else if (token.startsWith('(')) {
      open.push(sum)
      sum = 0
    } else if (token === ')') {
      last = sum
      sum += open.pop() ?? 0
    } else {
      last = 1 + CLASS_STEPS * (token.match(UNICODE_CLASS) ?? []).length
      sum += last
    }
  }
  return open.reduce((total, outer) => total + outer, sum)
}

/** Throws a TypeError that says what would be right; validation has said so before. */
export function compileRegex(pattern: string): Regex {
  const mistake = regexMistake(pattern)
  if (mistake !== undefined) throw new TypeError(`"${pattern.slice(0, 100)}": want ${mistake}`)
  const program = RE2JS.compile(pattern)
  return { matches: (value) => value.length <= LONGEST_VALUE && program.testExact(value) }
}
