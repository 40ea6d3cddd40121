// Who asks, on Kubernetes: the API server says whose token it is (TokenReview), and the pod that the token is bound to must
// exist, be that very one, and have the address that the caller comes from. Nothing is remembered between calls.

import { canonicalHost } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import { formatSpiffeId, type SpiffeId } from '#shared/identity/spiffe-id.ts'
import type { KubeClient } from '#shared/kube/client.ts'
import { isNotFound } from '#shared/kube/error.ts'
import { type KubeObject, PODS } from '#shared/kube/objects.ts'
import type { Attestation, Attestor } from './attest.ts'
import { createGate, type Gate, GateFull } from './gate.ts'

export interface KubernetesAttestorParts {
  readonly client: Pick<KubeClient, 'send' | 'get'>
  readonly trustDomain: string
  /** Of our tokens; no other is taken, so that a token meant for the API server or for anybody else is of no use here. */
  readonly audience: string
  readonly clock: Clock
}

/** Names of 253 letters four times, base64, and an RSA signature of 4096 bits fit. */
const MAX_TOKEN_CHARACTERS = 8192
/** Spares the API server what cannot be a JWT (RFC 7515 section 7.1). */
const JWT_SHAPE = /^[\w-]+\.[\w-]+\.[\w-]+$/
const USERNAME = /^system:serviceaccount:([^:]+):([^:]+)$/
const POD_NAME = 'authentication.kubernetes.io/pod-name'
const POD_UID = 'authentication.kubernetes.io/pod-uid'
const LIMITS = { atOnce: 16, waiting: 64 }
/** A sidecar is up a little before the kubelet has told the API server of the pod's address. */
const ADDRESS_LOOKS = 12
const ADDRESS_LOOK_MS = 250

const messageOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** What a TokenReview has vouched for. */
interface Bearer {
  readonly namespace: string
  readonly serviceAccount: string
  readonly podName: string
  readonly podUid: string
  readonly id: SpiffeId
}

/** Ends an attestation with this reason. */
class Refused extends Error {
  readonly isTransient: boolean
  constructor(reason: string, options: ErrorOptions & { readonly isTransient?: boolean } = {}) {
    super(reason, options)
    this.isTransient = options.isTransient ?? false
  }
}

export function createKubernetesAttestor(parts: KubernetesAttestorParts): Attestor {
  const gate = createGate(LIMITS)
  return {
    async attest(token, source): Promise<Attestation> {
      try {
        if (token.length > MAX_TOKEN_CHARACTERS || !JWT_SHAPE.test(token))
          throw new Refused('no token, or nothing like one')
        const bearer = await reviewToken(parts, gate, token)
        await requireOwnAddress(parts, gate, bearer, source)
        return { id: bearer.id }
      } catch (error) {
        if (error instanceof Refused && !error.isTransient) return { refusal: error.message }
        // A bug of ours refuses as well.
        return { refusal: messageOf(error), isTransient: true }
      }
    },
  }
}

async function reviewToken(parts: KubernetesAttestorParts, gate: Gate, token: string): Promise<Bearer> {
  const { audience, client, trustDomain } = parts
  const body = {
    apiVersion: 'authentication.k8s.io/v1',
    kind: 'TokenReview',
    spec: { token, audiences: [audience] },
  }
  const path = '/apis/authentication.k8s.io/v1/tokenreviews'
  const answer = await ask(gate, () => client.send('review a token', 'POST', path, body))
  const { authenticated, audiences, error, user } = readStatus(answer)
  if (authenticated !== true) {
    throw new Refused(`the API server does not know the token: ${String(error ?? 'no reason given').slice(0, 300)}`)
  }
  // Without this an authenticator that knows no audiences would let any token pass (documented with TokenReviewStatus.audiences).
  if (!Array.isArray(audiences) || !audiences.includes(audience)) throw new Refused(`the token is not for ${audience}`)
  const [, namespace = '', serviceAccount = ''] = USERNAME.exec(String(user?.username)) ?? []
  if (namespace === '') throw new Refused(`the token is of ${String(user?.username)}, which is no service account`)
  const [podName, podUid] = [only(user?.extra?.[POD_NAME]), only(user?.extra?.[POD_UID])]
  if (podName === undefined || podUid === undefined) {
    throw new Refused(`the token of ${namespace}/${serviceAccount} is bound to no pod`)
  }
  const id = idOf(() => formatSpiffeId({ trustDomain, namespace, serviceAccount }))
  return { namespace, serviceAccount, podName, podUid, id }
}

interface ReviewStatus {
  readonly authenticated?: unknown
  readonly audiences?: unknown
  readonly error?: unknown
  readonly user?: { readonly username?: unknown; readonly extra?: Readonly<Record<string, unknown>> }
}

function readStatus(answer: unknown): ReviewStatus {
  return (answer as { status?: ReviewStatus } | null)?.status ?? {}
}

function only(values: unknown): string | undefined {
  if (!Array.isArray(values) || values.length !== 1) return undefined
  const [value] = values as unknown[]
  return typeof value === 'string' && value !== '' ? value : undefined
}

function idOf(make: () => SpiffeId): SpiffeId {
  try {
    return make()
  } catch (error) {
    throw new Refused(messageOf(error), { cause: error })
  }
}

async function requireOwnAddress(
  parts: KubernetesAttestorParts,
  gate: Gate,
  bearer: Bearer,
  source: string,
): Promise<void> {
  const who = `pod ${bearer.namespace}/${bearer.podName}`
  for (let look = 1; ; look++) {
    const addresses = addressesOf(await getPod(parts, gate, bearer), bearer)
    if (addresses.includes(source)) return
    if (addresses.length > 0) throw new Refused(`the token is of ${who}, which has not this address`)
    if (look === ADDRESS_LOOKS) throw new Refused(`${who} has no address yet`, { isTransient: true })
    await new Promise<void>((resolve) => parts.clock.after(ADDRESS_LOOK_MS, resolve))
  }
}

async function getPod({ client }: KubernetesAttestorParts, gate: Gate, bearer: Bearer): Promise<KubeObject> {
  const { namespace, podName: name } = bearer
  return ask(
    gate,
    () => client.get(PODS, { namespace, name }),
    `the token is of pod ${namespace}/${name}, which is gone`,
  )
}

/** Throws a Refused unless it is the pod that the token is bound to, and not over: the address of one that is may be another's by now. */
function addressesOf(pod: KubeObject, bearer: Bearer): readonly string[] {
  const who = `pod ${bearer.namespace}/${bearer.podName}`
  const { serviceAccountName } = (pod['spec'] ?? {}) as { serviceAccountName?: unknown }
  const { phase, podIPs } = (pod['status'] ?? {}) as { phase?: unknown; podIPs?: readonly { ip?: unknown }[] }
  if (pod.metadata.uid !== bearer.podUid) throw new Refused(`the token is of an earlier ${who}`)
  if (serviceAccountName !== bearer.serviceAccount) throw new Refused(`${who} has another service account`)
  if (phase === 'Succeeded' || phase === 'Failed') throw new Refused(`${who} is over (${phase})`)
  return (podIPs ?? []).map(({ ip }) => canonicalHost(String(ip)))
}

/** Only what the API server has said refuses for good; that it does not answer, or not us, passes. */
async function ask<T>(gate: Gate, question: () => Promise<T>, whenNotFound?: string): Promise<T> {
  try {
    return await gate.run(question)
  } catch (error) {
    if (whenNotFound !== undefined && isNotFound(error)) throw new Refused(whenNotFound, { cause: error })
    const reason = error instanceof GateFull ? 'too many ask at once' : 'the API server cannot be asked'
    throw new Refused(`${reason}: ${messageOf(error)}`, { isTransient: true, cause: error })
  }
}
