// Host and the authority of an absolute URI: host and port, nothing else (RFC 9112 section 3.2, RFC 3986 section 3.2).
import { COLON, consistsOf, HOST } from './characters.ts'

const OPEN_BRACKET = 0x5b
const IP_LITERAL = /^\[[0-9A-Fa-f:.]{2,45}(?:%25[0-9A-Za-z._~-]{1,32})?\]$/

/**
 * True for `name`, `name:port`, `[address]:port` and the empty text, which a client sends when it knows no authority.
 * User information is refused: it has no place in Host and hides the true host from a reader.
 */
export function isAuthority(text: string): boolean {
  if (text.charCodeAt(0) === OPEN_BRACKET) {
    const end = text.indexOf(']') + 1
    return IP_LITERAL.test(text.slice(0, end)) && (end === text.length || isPort(text, end))
  }
  const colon = text.indexOf(':')
  if (colon < 0) return consistsOf(text, HOST)
  return colon > 0 && consistsOf(text.slice(0, colon), HOST) && isPort(text, colon)
}

/** `:` and up to five digits; an empty port is the scheme's own (RFC 3986 section 3.2.3). */
function isPort(text: string, colon: number): boolean {
  if (text.charCodeAt(colon) !== COLON || text.length - colon > 6) return false
  for (let i = colon + 1; i < text.length; i++) {
    const digit = text.charCodeAt(i) - 0x30
    if (digit < 0 || digit > 9) return false
  }
  return Number(text.slice(colon + 1)) <= 65_535
}
