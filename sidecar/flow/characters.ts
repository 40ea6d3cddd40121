// Which bytes may stand where: tables indexed by byte, 1 for allowed. Anything beyond a byte reads as undefined: not allowed.

function tableOf(isAllowed: (byte: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 256 }, (_, byte) => (isAllowed(byte) ? 1 : 0))
}

const isAlphanumeric = (byte: number) => /[0-9A-Za-z]/.test(String.fromCharCode(byte))
const isOneOf = (byte: number, allowed: string) => allowed.includes(String.fromCharCode(byte))

/** tchar of RFC 9110 section 5.6.2: methods and field names. */
export const TOKEN = tableOf((byte) => isAlphanumeric(byte) || isOneOf(byte, "!#$%&'*+-.^_`|~"))
/** Field values and reason phrases (RFC 9110 section 5.5): no control character but the tab. */
export const VALUE = tableOf((byte) => byte === 9 || (byte >= 0x20 && byte !== 0x7f))
/**
 * A request target. Wider than RFC 3986 by the marks that clients send raw and servers take, such as | or {. Never a blank or
 * control character (they end the line's parts), a byte beyond ASCII, or '#', which a client must not send.
 */
export const TARGET = tableOf((byte) => byte > 0x20 && byte < 0x7f && byte !== 0x23)
/** A method: upper case, so that no two parties differ on whether `get` is GET. */
export const METHOD = tableOf((byte) => TOKEN[byte] === 1 && !(byte >= 0x61 && byte <= 0x7a))
/** A registered name or IPv4 address as hosts are really written: no comma, at sign, blank or percent encoding. */
export const HOST = tableOf((byte) => isAlphanumeric(byte) || isOneOf(byte, '-._~'))

export const TAB = 0x09
export const LF = 0x0a
export const CR = 0x0d
export const SPACE = 0x20
export const COLON = 0x3a

/** Whether every character is in the table; an empty text is. */
export function consistsOf(text: string, table: Uint8Array): boolean {
  for (let i = 0; i < text.length; i++) if (table[text.charCodeAt(i)] !== 1) return false
  return true
}
