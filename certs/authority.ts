// What signs: a root, or an intermediate under one. Made and checked here; where it is kept say root-files.ts and root-secret.ts.
import 'reflect-metadata'
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { readCertificates, requireChainToRoot } from '#shared/identity/pem.ts'

export interface Authority {
  readonly trustDomain: string
  /** The certificate of the key that signs. */
  readonly signer: X509Certificate
  readonly key: CryptoKey
  /** PEM: what a workload shows after its leaf, so that it leads to a root; empty where the signer is a root. */
  readonly intermediates: string
  /** PEM: every root that is trusted. */
  readonly bundle: string
  /** When the first of the signer and the certificates over it ends. */
  readonly endsAt: Date
}

/** What is kept, and how an error names it. */
export interface AuthorityMaterial {
  /** PEM: the signer first, then what leads from it to a root, if it is none. */
  readonly chain: string
  /** PEM, PKCS #8 or SEC 1. */
  readonly key: string
  /** PEM: all roots. */
  readonly roots: string
  readonly names: { readonly chain: string; readonly key: string; readonly roots: string; readonly wayOut: string }
}

export interface AuthorityScope {
  readonly trustDomain: string
  /** Now, milliseconds since 1970. */
  readonly wallMs: number
}

export const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000
/** For machines whose clocks are a little behind. */
export const BACKDATE_MS = 5 * 60 * 1000

/** Throws an Error for people that names what of the material cannot be used. */
export function readAuthority(material: AuthorityMaterial, scope: AuthorityScope): Authority {
  const { names } = material
  const key = readKey(material.key, names.key)
  const chain = readPem(material.chain, names.chain)
  const roots = readPem(material.roots, names.roots)
  const [first] = chain
  if (first === undefined) throw new Error(`${names.chain} holds no certificate`)
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1')
    throw new Error(`the key of ${names.chain} is not ECDSA P-256`)
  if (!first.checkPrivateKey(key))
    throw new Error(`${names.chain} and ${names.key} are no pair: restore the one that was replaced`)
  if (!first.ca) throw new Error(`${names.chain} is no certificate of an authority`)
  const isRoot = (certificate: { readonly raw: Buffer }) => roots.some(({ raw }) => raw.equals(certificate.raw))
  const used = isRoot(first) ? [first] : chain.filter((certificate) => !isRoot(certificate))
  const endsAt = new Date(Math.min(...used.map(({ validToDate }) => validToDate.getTime())))
  if (scope.wallMs >= endsAt.getTime()) {
    throw new Error(`${names.chain} ended at ${endsAt.toISOString()}: ${names.wayOut}`)
  }
  if (!isRoot(first)) requireWay(material, scope.wallMs)
  const signer = new X509Certificate(first.raw)
  requireTrustDomain(signer, names.chain, scope.trustDomain)
  const intermediates = isRoot(first) ? '' : used.map(String).join('')
  return {
    trustDomain: scope.trustDomain,
    signer,
    key: signingKey(key),
    intermediates,
    bundle: material.roots,
    endsAt,
  }
}

function readKey(text: string, name: string): KeyObject {
  try {
    return createPrivateKey(text)
  } catch (error) {
    throw new Error(`${name} holds no private key in PEM form`, { cause: error })
  }
}

function readPem(text: string, name: string) {
  try {
    return readCertificates(text)
  } catch (error) {
    throw new Error(`${name}: ${error instanceof Error ? error.message : String(error)}`, { cause: error })
  }
}

function requireWay({ chain, roots, names }: AuthorityMaterial, wallMs: number): void {
  try {
    requireChainToRoot(chain, roots, wallMs)
  } catch (error) {
    throw new Error(`${names.chain} leads to no root of ${names.roots}`, { cause: error })
  }
}

function signingKey(key: KeyObject): CryptoKey {
  return key.toCryptoKey(ECDSA, false, ['sign'])
}

function requireTrustDomain(signer: X509Certificate, name: string, trustDomain: string): void {
  const uri = signer.getExtension(SubjectAlternativeNameExtension)?.names.items.find((item) => item.type === 'url')
  const wanted = `spiffe://${trustDomain}`
  if (uri !== undefined && uri.value !== wanted) {
    throw new Error(`${name} is for ${uri.value}, want ${wanted}: use another root for this trust domain`)
  }
}

/** A new root for ten years, PEM. */
export async function makeRoot(scope: AuthorityScope): Promise<{ readonly root: string; readonly key: string }> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = { privateKey: signingKey(privateKey), publicKey: publicKey.toCryptoKey(ECDSA, true, ['verify']) }
  const root = await X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['Weft'] }, { CN: [`root of ${scope.trustDomain}`] }],
    serialNumber: randomSerial(),
    notBefore: new Date(scope.wallMs - BACKDATE_MS),
    notAfter: new Date(scope.wallMs + TEN_YEARS_MS),
    signingAlgorithm: ECDSA,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${scope.trustDomain}` }]),
    ],
  })
  return {
    root: `${root.toString('pem')}\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

/** 20 bytes, positive, so that its DER form is as long (RFC 5280 section 4.1.2.2). */
export function randomSerial(): string {
  const bytes = randomBytes(20)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}
