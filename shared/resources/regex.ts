// Users' regular expressions: RE2 syntax, linear time. Nothing else in Weft may turn a user's text into a RegExp.
import { RE2JS } from 're2js'

/** A program of so many steps at most: time to match is steps times length of the value. */
const MOST_STEPS = 2000
const MOST_CHARACTERS = 1024

/** Undefined when it compiles, else why not. */
export function regexMistake(pattern: string): string | undefined {
  if (pattern.length > MOST_CHARACTERS) return `at most ${MOST_CHARACTERS} characters`
  try {
    if (RE2JS.compile(pattern).programSize() > MOST_STEPS) return 'a simpler expression (repeat counts multiply)'
    return undefined
  } catch (error) {
    return `RE2 syntax (${error instanceof Error ? error.message : String(error)})`
  }
}
