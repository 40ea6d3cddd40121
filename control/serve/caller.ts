// Who is at the other end of a stream: what its certificate says, and whether the pod that it names is one of its own.
import { status } from '@grpc/grpc-js'
import { type SpiffeId, spiffeIdParts } from '#shared/identity/spiffe-id.ts'
import { notAfterOf, spiffeIdOf } from '#shared/identity/x509.ts'
import { ProtocolError } from './protocol-error.ts'
import type { ModelView } from './view.ts'

export interface Peer {
  readonly id: SpiffeId
  readonly namespace: string
  readonly serviceAccount: string
  /** The stream must not outlive the certificate that opened it. */
  readonly expiresAt: Date
}

/** Throws a ProtocolError when there is no certificate, or it is no SVID of this trust domain. */
export function identifyPeer(certificate: Buffer | undefined, trustDomain: string): Peer {
  if (certificate === undefined) throw new ProtocolError(status.UNAUTHENTICATED, 'no client certificate')
  const id = readId(certificate)
  const parts = spiffeIdParts(id)
  if (parts.trustDomain !== trustDomain) {
    throw new ProtocolError(status.PERMISSION_DENIED, `${id} is not of the trust domain ${trustDomain}`)
  }
  return { id, namespace: parts.namespace, serviceAccount: parts.serviceAccount, expiresAt: notAfterOf(certificate) }
}

function readId(certificate: Buffer): SpiffeId {
  try {
    return spiffeIdOf(certificate)
  } catch (error) {
    const refusal = new ProtocolError(status.UNAUTHENTICATED, 'the client certificate is no SVID', { cause: error })
    throw refusal
  }
}

/**
 * The pod's name in the model. A sidecar tells the name that its pod has in its namespace, which in a cluster is not unique: the
 * namespace is taken from the certificate. Throws a ProtocolError unless the pod runs as the peer's service account.
 */
export function requireOwnPod(view: ModelView, pod: string, peer: Peer): string {
  for (const name of [pod, `${peer.namespace}/${pod}`]) {
    const found = view.pod(name)
    if (found?.namespace === peer.namespace && found.serviceAccount === peer.serviceAccount) return name
  }
  // One text for both cases: who may not see a pod is not told that it exists.
  throw new ProtocolError(status.PERMISSION_DENIED, `${peer.id} has no pod "${pod.slice(0, 100)}"`)
}
