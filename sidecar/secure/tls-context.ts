// The SecureContext of each side, made once per identity: making one costs more than a handshake.
import { createHash, hkdfSync, randomBytes } from 'node:crypto'
import { createSecureContext, type SecureContext } from 'node:tls'
import type { Identity, IdentitySource } from '#flow/identity.ts'
import { MESH_TLS } from '#shared/identity/tls-settings.ts'

export interface TlsContext {
  readonly identity: Identity
  readonly context: SecureContext
}

/** Seconds. A ticket is renewed with each use, so this only ends what nobody uses. */
const SESSION_LIFETIME = 3600
const TICKET_KEY_BYTES = 48

/** The context for the identity of now; undefined while there is none. */
export type ContextSource = () => TlsContext | undefined

/** For the accepting side: clients must show a certificate, and may come back with a ticket. */
export function serverContexts(source: IdentitySource): ContextSource {
  // Tickets name the client by the certificate it once showed, so they are good only under the roots that vouched for it:
  // the keys follow from the roots, and are the same again when only our own certificate was renewed.
  const secret = randomBytes(32)
  return memoized(source, (identity) => ({
    ticketKeys: Buffer.from(hkdfSync('sha256', secret, identity.roots, 'weft tickets', TICKET_KEY_BYTES)),
    // Without one, OpenSSL fails every resumption where a client certificate is asked for.
    sessionIdContext: createHash('sha256').update(identity.roots).digest('hex').slice(0, 32),
    sessionTimeout: SESSION_LIFETIME,
  }))
}

/** For the dialling side. */
export function clientContexts(source: IdentitySource): ContextSource {
  return memoized(source, () => ({}))
}

function memoized(source: IdentitySource, extra: (identity: Identity) => Parameters<typeof createSecureContext>[0]) {
  let last: TlsContext | undefined
  return () => {
    const identity = source.current
    if (identity === undefined) return undefined
    if (last?.identity !== identity) last = { identity, context: contextOf(identity, extra(identity)) }
    return last
  }
}

function contextOf(identity: Identity, extra: Parameters<typeof createSecureContext>[0]): SecureContext {
  return createSecureContext({
    ...MESH_TLS,
    cert: identity.chain,
    key: identity.key.export({ type: 'pkcs8', format: 'pem' }),
    ca: identity.roots,
    ...extra,
  })
}
