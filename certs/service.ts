// The signing call: limit, attest, read the CSR, issue. Cheap checks first, so that who has no token costs next to nothing.
import { type ServerUnaryCall, type sendUnaryData, status } from '@grpc/grpc-js'
import { canonicalHost } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { SignRequest, SignResponse } from '#shared/contract/certificates.ts'
import type { Log } from '#shared/log.ts'
import type { Watch } from '#shared/watch.ts'
import type { Attestor } from './attest.ts'
import type { Authority } from './authority.ts'
import type { SourceLimit } from './limit.ts'
import type { Metrics, Outcome } from './metrics.ts'
import { issueSvid, readRequest } from './sign.ts'

export interface SigningParts {
  readonly authority: Watch<Authority>
  readonly attestor: Attestor
  readonly limit: SourceLimit
  readonly lifetimeMs: number
  readonly clock: Clock
  readonly log: Log
  readonly metrics: Metrics
}

type SignCall = ServerUnaryCall<SignRequest, SignResponse>

/** Ends with this status; `message` is all that the caller learns, `reason` is for our log. */
class Refusal extends Error {
  readonly code: status
  readonly reason: string
  constructor(code: status, message: string, reason = message) {
    super(message)
    this.code = code
    this.reason = reason
  }
}

export function createSignHandler(parts: SigningParts) {
  return (call: SignCall, callback: sendUnaryData<SignResponse>): void => {
    const source = sourceOf(call)
    sign(parts, call.request, source).then(
      (response) => {
        parts.metrics.count('issued')
        callback(null, response)
      },
      (error: unknown) => {
        const refusal = error instanceof Refusal ? error : undefined
        parts.metrics.count(outcomeOf(refusal))
        if (refusal === undefined) parts.log.error({ source, err: error }, 'signing failed')
        else parts.log.warn({ source, reason: refusal.reason }, 'refused to sign')
        callback({ code: refusal?.code ?? status.INTERNAL, details: refusal?.message ?? 'signing failed' })
      },
    )
  }
}

function outcomeOf(refusal: Refusal | undefined): Outcome {
  if (refusal === undefined) return 'failed'
  return refusal.code === status.UNAVAILABLE ? 'unavailable' : 'refused'
}

async function sign(parts: SigningParts, request: SignRequest, source: string): Promise<SignResponse> {
  const { authority, attestor, limit, lifetimeMs, clock, log } = parts
  if (!limit.admit(source)) throw new Refusal(status.RESOURCE_EXHAUSTED, 'too many requests from this address')
  const attestation = await attestor.attest(request.token, source)
  const { id } = attestation
  if (id === undefined) {
    const { refusal, isTransient } = attestation
    if (isTransient) throw new Refusal(status.UNAVAILABLE, 'certs cannot check tokens now; try again', refusal)
    throw new Refusal(status.UNAUTHENTICATED, 'the token is not good from this address; see the log of certs', refusal)
  }
  const { publicKey, claims } = await readRequest(request.csr).catch((error: Error) => {
    throw new Refusal(status.INVALID_ARGUMENT, error.message, `${error.message} (${id})`)
  })
  // The identity is the token's, whatever the request says. A sidecar asks for just that.
  const ignored = claims.filter((claim) => claim !== `url ${id}`)
  if (ignored.length > 0) log.warn({ source, id, ignored }, 'a CSR claims what its owner does not get')
  const svid = await issueSvid(authority.current, { id, publicKey, lifetimeMs, wallMs: clock.wall() })
  log.info({ source, id, serial: svid.serial, expiresAt: new Date(svid.notAfterMs) }, 'certificate issued')
  return { chainPem: svid.chain, rootsPem: authority.current.bundle, notAfterMs: svid.notAfterMs }
}

/** grpc-js gives ADDRESS:PORT, without brackets around an IPv6 address. */
function sourceOf(call: SignCall): string {
  const peer = call.getPeer()
  const host = peer.slice(0, peer.lastIndexOf(':'))
  return canonicalHost(host)
}
