// Who asks, on one machine: a token made by `weft up` for one pod stands for one identity and is useless from any other address.
// The file holds hashes only, so reading it gives nobody a token.
import { createHash, timingSafeEqual } from 'node:crypto'
import { readFileSync, statSync } from 'node:fs'
import { canonicalHost } from '#shared/address.ts'
import { parseSpiffeId, type SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Log } from '#shared/log.ts'

export type Attestation =
  | { readonly id: SpiffeId; readonly refusal?: never }
  /** For the log; the caller is not told which it was. `isTransient`: nothing is wrong with the token as far as is known, try again. */
  | { readonly id?: never; readonly refusal: string; readonly isTransient?: true }

export interface Attestor {
  /** `source` is an IP address in canonical form. */
  attest(token: string, source: string): Attestation | Promise<Attestation>
}

interface TokenAttestor extends Attestor {
  attest(token: string, source: string): Attestation
}

interface KnownToken {
  readonly hash: Buffer
  readonly id: SpiffeId
  readonly addresses: ReadonlySet<string>
}

const MAX_TOKEN_CHARACTERS = 4096

/** Reads the file again whenever it has changed; a broken one leaves the last good one in force, a missing one admits nobody. */
export function createTokenAttestor(file: string, log: Log): TokenAttestor {
  let version = ''
  let known: readonly KnownToken[] = []

  function refresh(): void {
    const stat = statSync(file, { bigint: true, throwIfNoEntry: false })
    const found = stat === undefined ? '' : `${stat.ino} ${stat.mtimeNs} ${stat.size}`
    if (found === version) return
    version = found
    try {
      known = stat === undefined ? [] : parseTokens(readFileSync(file, 'utf8'))
      log.info({ file, tokens: known.length }, 'tokens read')
    } catch (error) {
      log.error({ file, reason: String(error) }, 'the tokens cannot be read; the last good ones stay')
    }
  }

  return {
    attest(token, source) {
      if (token === '' || token.length > MAX_TOKEN_CHARACTERS) return { refusal: 'no token, or one that is too long' }
      refresh()
      const match = findToken(known, createHash('sha256').update(token).digest())
      if (match === undefined) return { refusal: 'the token is unknown' }
      if (match.addresses.has(source)) return { id: match.id }
      return { refusal: `the token is of ${match.id}, which has not this address` }
    },
  }
}

/** Looks at every entry, so that the time says nothing about where or whether one fits. */
function findToken(known: readonly KnownToken[], hash: Buffer): KnownToken | undefined {
  let match: KnownToken | undefined
  for (const candidate of known) if (timingSafeEqual(candidate.hash, hash)) match = candidate
  return match
}

/** Throws an Error that names the entry at fault: one bad entry refuses the file. */
function parseTokens(text: string): KnownToken[] {
  const document: unknown = JSON.parse(text)
  const entries = field(document, 'tokens')
  if (!Array.isArray(entries)) throw new Error('want {"tokens": [...]}')
  return entries.map((entry: unknown, index) => {
    const sha256 = field(entry, 'sha256')
    const id = field(entry, 'spiffeId')
    const addresses = field(entry, 'addresses')
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/.test(sha256))
      throw new Error(`tokens[${index}].sha256: want hex`)
    if (typeof id !== 'string') throw new Error(`tokens[${index}].spiffeId: want text`)
    if (!Array.isArray(addresses)) throw new Error(`tokens[${index}].addresses: want a list`)
    const hosts = addresses.map((address: unknown) => canonicalHost(String(address)))
    return { hash: Buffer.from(sha256, 'hex'), id: parseSpiffeId(id), addresses: new Set(hosts) }
  })
}

function field(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
}
