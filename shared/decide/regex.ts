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
  try {
    const steps = RE2JS.compile(pattern).programSize()
    return steps > MOST_STEPS ? `a simpler regular expression (${steps} steps, at most ${MOST_STEPS})` : undefined
  } catch (error) {
    return `a regular expression in RE2 syntax (${error instanceof Error ? error.message : String(error)})`
  }
}

/** Throws a TypeError that says what would be right; validation has said so before. */
export function compileRegex(pattern: string): Regex {
  const mistake = regexMistake(pattern)
  if (mistake !== undefined) throw new TypeError(`"${pattern.slice(0, 100)}": want ${mistake}`)
  const program = RE2JS.compile(pattern)
  return { matches: (value) => value.length <= LONGEST_VALUE && program.testExact(value) }
}
