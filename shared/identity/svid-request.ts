// One signing call: a fresh key, its CSR, the token; and the answer held to what was asked before anybody uses it.
import { generateKeyPair, type KeyObject, X509Certificate } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { Metadata } from '@grpc/grpc-js'
import type { SignRequest, SignResponse } from '#shared/contract/certificates.ts'
import { loadContract } from '#shared/contract/load.ts'
import { encodeCsr } from './csr.ts'
import { CHANNEL_OPTIONS, channelCredentials } from './grpc-client.ts'
import { readCertificates, requireChainToRoot } from './pem.ts'
import type { SpiffeId } from './spiffe-id.ts'
import type { SvidIdentity } from './svid.ts'
import { notAfterOf, spiffeIdOf } from './x509.ts'

const CALL_LIMIT_MS = 10_000
const Certificates = loadContract('certificates')
const makeKeyPair = promisify(generateKeyPair)

export interface SvidRequest {
  /** "HOST:PORT" of certs. */
  readonly certsAddress: string
  readonly certsId: SpiffeId
  readonly tokenFile: string
  readonly id: SpiffeId
  readonly roots: string
  readonly wallMs: number
  readonly signal: AbortSignal
}

/** Rejects with an Error for people when certs is away, refuses, or answers with something else than was asked. */
export async function requestSvid(request: SvidRequest): Promise<SvidIdentity> {
  // Read each time: a projected token is replaced while the pod runs.
  const token = (await readFile(request.tokenFile, 'utf8')).trim()
  const { privateKey, publicKey } = await makeKeyPair('ec', { namedCurve: 'P-256' })
  const response = await callSign(request, { csr: encodeCsr(privateKey, publicKey, request.id), token })
  return checkSvid({ ...request, chain: response.chainPem, key: privateKey })
}

export interface SvidParts {
  readonly id: SpiffeId
  readonly chain: string
  readonly key: KeyObject
  readonly roots: string
  readonly wallMs: number
}

/** Throws an Error that says what is wrong: another identity, another key, no way to a root, not valid now. */
export function checkSvid(parts: SvidParts): SvidIdentity {
  const [leaf] = readCertificates(parts.chain)
  if (leaf === undefined) throw new Error('no certificate in PEM form')
  const found = spiffeIdOf(leaf.raw)
  if (found !== parts.id) throw new Error(`the certificate is for ${found}, want ${parts.id}`)
  if (!new X509Certificate(leaf.raw).checkPrivateKey(parts.key)) throw new Error('the certificate is for another key')
  requireChainToRoot(parts.chain, parts.roots, parts.wallMs)
  const { id, chain, key, roots } = parts
  return { id, chain, key, roots, expiresAt: notAfterOf(leaf.raw) }
}

function callSign(request: SvidRequest, message: SignRequest): Promise<SignResponse> {
  const trust = channelCredentials({ roots: request.roots, server: request.certsId })
  const client = new Certificates(request.certsAddress, trust, CHANNEL_OPTIONS)
  return new Promise<SignResponse>((resolve, reject) => {
    const options = { deadline: Date.now() + CALL_LIMIT_MS }
    const call = client.Sign(message, new Metadata(), options, (error, response) => {
      if (error === null && response !== undefined) resolve(response)
      else reject(new Error(error?.message ?? 'certs answered nothing', { cause: error }))
    })
    request.signal.addEventListener('abort', () => call.cancel(), { once: true })
    if (request.signal.aborted) call.cancel()
  }).finally(() => client.close())
}
