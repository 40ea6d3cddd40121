// What the sidecar has in force, as JSON for people and for `weft proxy-config`. The last gate before it leaves the
// process: keys and tokens become a note, wherever a careless caller has put them.
import { KeyObject } from 'node:crypto'
import { json, type Page } from './http.ts'

/** Each is called when its page is asked for. */
export interface Dumps {
  readonly config: () => unknown
  readonly endpoints: () => unknown
  readonly certificates: () => unknown
  readonly connections: () => unknown
}

export function dumpPage(dump: () => unknown): Page {
  return () => json(200, withoutSecrets(dump()))
}

const REDACTED = '[secret, not shown]'
const SECRET_TEXT = /-----BEGIN [A-Z ]*PRIVATE KEY-----|^eyJ[\w-]+\.eyJ[\w-]+\.[\w-]*$/

/** A copy that JSON can hold: Maps and Sets as objects and lists, cycles cut, no key and no token in it. */
function withoutSecrets(value: unknown, ancestors: readonly object[] = []): unknown {
  if (typeof value === 'string') return SECRET_TEXT.test(value) ? REDACTED : value
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof KeyObject || value instanceof CryptoKey) return REDACTED
  // Bytes are never for people, and DER of a key is bytes.
  if (ArrayBuffer.isView(value)) return `[${value.byteLength} bytes]`
  if (value instanceof Date) return value.toJSON()
  if (ancestors.includes(value)) return '[circular]'
  return copyInside(value, [...ancestors, value])
}

function copyInside(value: object, ancestors: readonly object[]): unknown {
  if (Array.isArray(value) || value instanceof Set) return [...value].map((item) => withoutSecrets(item, ancestors))
  const copy: Record<string, unknown> = {}
  const entries = value instanceof Map ? value.entries() : Object.entries(value)
  for (const [name, inner] of entries) copy[String(name)] = withoutSecrets(inner, ancestors)
  return copy
}
