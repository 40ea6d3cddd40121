// An authority for tests that signs whatever it is told, good certificates and bad ones alike.
import 'reflect-metadata'
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  type Extension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  SubjectAlternativeNameExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const HOUR_MS = 3600 * 1000

export interface LeafOptions {
  readonly san?: Extension | null
  readonly constraints?: Extension | null
  readonly keyUsage?: Extension | null
  readonly extendedKeyUsage?: Extension | null
  readonly more?: readonly Extension[]
  readonly subject?: string
  readonly notBefore?: Date
  readonly notAfter?: Date
}

export interface TestAuthority {
  /** PEM. */
  readonly root: string
  /** A leaf that is an SVID unless the options break it. */
  leaf(id: string, options?: LeafOptions): Promise<{ chain: string; der: Buffer; key: KeyObject; expiresAt: Date }>
  identity(id: string, options?: LeafOptions): Promise<SvidIdentity>
}

export async function makeAuthority(name = 'test root'): Promise<TestAuthority> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const signingKey = privateKey.toCryptoKey(ECDSA, false, ['sign'])
  const root = await X509CertificateGenerator.createSelfSigned({
    name: `CN=${name}`,
    serialNumber: randomSerial(),
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    signingAlgorithm: ECDSA,
    keys: { privateKey: signingKey, publicKey: publicKey.toCryptoKey(ECDSA, true, ['verify']) },
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  })
  const rootPem = `${root.toString('pem')}\n`

  async function leaf(id: string, options: LeafOptions = {}) {
    const pair = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const expiresAt = options.notAfter ?? new Date(Math.floor(Date.now() / 1000) * 1000 + HOUR_MS)
    const certificate = await X509CertificateGenerator.create({
      serialNumber: randomSerial(),
      issuer: root.subject,
      ...(options.subject === undefined ? {} : { subject: options.subject }),
      notBefore: options.notBefore ?? new Date(Date.now() - HOUR_MS),
      notAfter: expiresAt,
      publicKey: new PublicKey(pair.publicKey.export({ type: 'spki', format: 'der' })),
      signingKey,
      signingAlgorithm: ECDSA,
      extensions: [...extensionsOf(id, options)],
    })
    const der = Buffer.from(certificate.rawData)
    return { chain: `${certificate.toString('pem')}\n`, der, key: pair.privateKey, expiresAt }
  }
  return {
    root: rootPem,
    leaf,
    async identity(id, options) {
      const { chain, key, expiresAt } = await leaf(id, options)
      return { id: parseSpiffeId(id), chain, key, roots: rootPem, expiresAt }
    },
  }
}

function* extensionsOf(id: string, options: LeafOptions): Generator<Extension> {
  const {
    san = sanOf([id]),
    constraints = new BasicConstraintsExtension(false, undefined, true),
    keyUsage = new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
    extendedKeyUsage = new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
    more = [],
  } = options
  for (const extension of [san, constraints, keyUsage, extendedKeyUsage, ...more]) if (extension) yield extension
}

export function sanOf(uris: readonly string[], isCritical = true): Extension {
  return new SubjectAlternativeNameExtension(
    uris.map((value) => ({ type: 'url' as const, value })),
    isCritical,
  )
}

export const keyUsageOf = (flags: KeyUsageFlags, isCritical = true): Extension =>
  new KeyUsagesExtension(flags, isCritical)
export const authorityConstraints = (): Extension => new BasicConstraintsExtension(true, undefined, true)
export const purposesOf = (...purposes: readonly ('serverAuth' | 'clientAuth' | 'codeSigning')[]): Extension =>
  new ExtendedKeyUsageExtension(purposes.map((purpose) => ExtendedKeyUsage[purpose]))

export const derOf = (pem: string): Buffer => Buffer.from(new X509Certificate(pem).rawData)

function randomSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = 0x41
  return bytes.toString('hex')
}
