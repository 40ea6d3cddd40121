// JSON by hand for the access log: pure ASCII, so that neither a line break nor a terminal's escape survives in it.

// Printable ASCII without the double quote and the backslash.
const PLAIN = /^[ !#-[\]-~]*$/
const SPECIAL = /[^ !#-[\]-~]/g

/** A JSON string of at most `limit` characters of the text, with an ellipsis where it was cut. */
export function quote(text: string, limit: number): string {
  const kept = text.length <= limit ? text : `${text.slice(0, limit)}...`
  return PLAIN.test(kept) ? `"${kept}"` : `"${kept.replace(SPECIAL, escapeUnit)}"`
}

function escapeUnit(unit: string): string {
  if (unit === '"' || unit === '\\') return `\\${unit}`
  return `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
}
