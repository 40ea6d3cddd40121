// Fields that mean something on one hop only (RFC 9110 section 7.6.1) do not travel. An upgrade keeps its Upgrade field.
import { fieldValue, sameName } from '#flow/fields.ts'
import type { Fields } from '#flow/stream.ts'
import { ORIGINAL } from './original.ts'

const HOP_ONLY = new Set(['connection', 'keep-alive', 'proxy-connection', 'transfer-encoding', 'upgrade', 'te'])
// A name in Connection must not make a proxy drop what the message cannot do without.
const NEVER_NAMED = new Set(['host', 'content-length', 'content-type', 'authorization', 'cookie', 'set-cookie'])
// Only a mesh peer may speak of a client's certificate; an application's claim is not a proof.
const CLAIM = 'x-forwarded-client-cert'

/** The fields that travel on, as a new array. `keepUpgrade` for a request that upgrades and for its 101. */
export function endToEnd(fields: Fields, keepUpgrade: boolean): Fields {
  const named = connectionNames(fields)
  const kept: Fields = []
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    const value = fields[i + 1] as string
    if (name.charCodeAt(0) !== 58 && !travels(name.toLowerCase(), value, keepUpgrade, named)) continue
    kept.push(name, value)
  }
  return kept
}

function travels(lower: string, value: string, keepUpgrade: boolean, named: readonly string[] | null): boolean {
  if (HOP_ONLY.has(lower)) {
    if (lower === 'upgrade') return keepUpgrade
    // "TE: trailers" is true of us too: trailers travel.
    return lower === 'te' && value.trim().toLowerCase() === 'trailers'
  }
  if (isClaim(lower) || lower === ORIGINAL) return false
  return named === null || !named.includes(lower) || NEVER_NAMED.has(lower)
}

/** CGI and WSGI read an underscore as a dash, and some of them every mark. */
function isClaim(lower: string): boolean {
  return lower.length === CLAIM.length && lower.replaceAll(/[^0-9a-z]/g, '-') === CLAIM
}

function connectionNames(fields: Fields): string[] | null {
  let names: string[] | null = null
  for (let i = 0; i < fields.length; i += 2) {
    const name = fields[i] as string
    if (name.length !== 10 || !sameName(name, 'connection')) continue
    names ??= []
    for (const item of (fields[i + 1] as string).split(',')) names.push(item.trim().toLowerCase())
  }
  return names
}

/** The protocol that a request asks to change to, when it does so by the rules; h2c never. */
export function upgradeOf(fields: Fields): string | null {
  const upgrade = fieldValue(fields, 'upgrade')
  if (upgrade === undefined || upgrade.toLowerCase() === 'h2c') return null
  const names = connectionNames(fields)
  return names?.includes('upgrade') === true ? upgrade : null
}
