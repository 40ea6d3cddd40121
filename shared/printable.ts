// Text of somebody else on its way to a person: what a terminal would obey or hide, or what would reorder a line, is shown as it is
// written. A pattern, an annotation or the error of a sidecar may hold anything, and an API server drops warnings with control characters.

const UNPRINTABLE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu

/** One line: "a\u{1b}[2J" for what would clear the screen. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`)
}
