// From a request to an SVID: of the CSR only the key is taken, and only a P-256 one; what the certificate says comes from us.
import 'reflect-metadata'
import { createPublicKey } from 'node:crypto'
import {
  AuthorityKeyIdentifierExtension,
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequest,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { type Authority, BACKDATE_MS, ECDSA, randomSerial } from './authority.ts'

/** Ours are about 300 bytes. */
const MAX_CSR_BYTES = 4096
/** SubjectPublicKeyInfo of an uncompressed point on the named curve P-256: all but the point is fixed (RFC 5480). */
const P256_PREFIX = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')
const P256_BYTES = P256_PREFIX.length + 64

export interface CertificateRequest {
  /** SPKI, DER. */
  readonly publicKey: Buffer
  /** What it asks for beside a certificate on that key, such as "dns example.com" or "CA:true". Nobody gets any of it. */
  readonly claims: readonly string[]
}

/** Throws an Error that says why it is refused. */
export async function readRequest(csr: Buffer): Promise<CertificateRequest> {
  if (csr.length > MAX_CSR_BYTES) throw new Error(`the CSR is longer than ${MAX_CSR_BYTES} bytes`)
  const request = parse(csr)
  const spki = Buffer.from(request.publicKey.rawData)
  if (spki.length !== P256_BYTES || !spki.subarray(0, P256_PREFIX.length).equals(P256_PREFIX)) {
    throw new Error('the key of the CSR is not ECDSA P-256')
  }
  requirePoint(spki)
  const isOwn = await request.verify().catch(() => false)
  if (!isOwn) throw new Error('the signature of the CSR is wrong')
  return { publicKey: spki, claims: claimsOf(request) }
}

function claimsOf({ subject, extensions }: Pkcs10CertificateRequest): readonly string[] {
  const asked = extensions.flatMap((extension) => {
    if (extension instanceof SubjectAlternativeNameExtension)
      return extension.names.items.map(({ type, value }) => `${type} ${value}`)
    if (extension instanceof BasicConstraintsExtension) return extension.ca ? ['CA:true'] : []
    if (extension instanceof KeyUsagesExtension) return [`key usages ${extension.usages}`]
    return [`extension ${extension.type}`]
  })
  return subject === '' ? asked : [`subject ${subject}`, ...asked]
}

function parse(csr: Buffer): Pkcs10CertificateRequest {
  try {
    return new Pkcs10CertificateRequest(csr)
  } catch (error) {
    throw new Error('the CSR cannot be read', { cause: error })
  }
}

/** OpenSSL refuses a point that does not lie on the curve. */
function requirePoint(spki: Buffer): void {
  try {
    createPublicKey({ key: spki, format: 'der', type: 'spki' })
  } catch (error) {
    throw new Error('the key of the CSR is no point of P-256', { cause: error })
  }
}

export interface SvidOrder {
  readonly id: SpiffeId
  /** SPKI, DER. */
  readonly publicKey: Buffer
  readonly lifetimeMs: number
  /** Now, milliseconds since 1970. */
  readonly wallMs: number
}

export interface IssuedSvid {
  /** PEM. */
  readonly chain: string
  readonly notAfterMs: number
  /** Hexadecimal. */
  readonly serial: string
}

/** A leaf as X509-SVID.md wants it. It never outlives what signs it. */
export async function issueSvid(authority: Authority, order: SvidOrder): Promise<IssuedSvid> {
  const wantedMs = Math.min(order.wallMs + order.lifetimeMs, authority.endsAt.getTime())
  // X.509 has no fractions of a second.
  const notAfterMs = Math.floor(wantedMs / 1000) * 1000
  const serial = randomSerial()
  const leaf = await X509CertificateGenerator.create({
    serialNumber: serial,
    issuer: authority.signer.subject,
    notBefore: new Date(order.wallMs - BACKDATE_MS),
    notAfter: new Date(notAfterMs),
    publicKey: new PublicKey(order.publicKey),
    signingKey: authority.key,
    signingAlgorithm: ECDSA,
    extensions: [
      // Critical, as the subject is empty (RFC 5280 section 4.2.1.6).
      new SubjectAlternativeNameExtension([{ type: 'url', value: order.id }], true),
      new BasicConstraintsExtension(false, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
      new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
      await AuthorityKeyIdentifierExtension.create(authority.signer),
    ],
  })
  return { chain: `${leaf.toString('pem')}\n${authority.intermediates}`, notAfterMs, serial }
}
