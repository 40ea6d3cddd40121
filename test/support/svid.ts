// A throw-away certificate authority, for tests that need SVIDs but not certs.
import 'reflect-metadata'
import { generateKeyPairSync, type KeyObject, randomBytes, webcrypto } from 'node:crypto'
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { parseSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { SvidIdentity } from '#shared/identity/svid.ts'

export interface TestAuthority {
  /** PEM */
  readonly roots: string
  issue(id: string, lifetimeMs?: number): Promise<SvidIdentity>
}

const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const
const HOUR_MS = 3_600_000

interface KeyPair {
  readonly pair: webcrypto.CryptoKeyPair
  readonly key: KeyObject
}

async function createKeyPair(): Promise<KeyPair> {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const { subtle } = webcrypto
  const pkcs8 = privateKey.export({ type: 'pkcs8', format: 'der' })
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const pair = {
    privateKey: await subtle.importKey('pkcs8', pkcs8, ALGORITHM, false, ['sign']),
    publicKey: await subtle.importKey('spki', spki, ALGORITHM, true, ['verify']),
  }
  return { pair: pair as webcrypto.CryptoKeyPair, key: privateKey }
}

export async function createTestAuthority(): Promise<TestAuthority> {
  const { pair } = await createKeyPair()
  const root = await X509CertificateGenerator.createSelfSigned({
    serialNumber: randomBytes(8).toString('hex'),
    name: `CN=test root ${randomBytes(4).toString('hex')}`,
    notBefore: new Date(Date.now() - HOUR_MS),
    notAfter: new Date(Date.now() + 24 * HOUR_MS),
    signingAlgorithm: ALGORITHM,
    keys: pair,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
    ],
  })
  const roots = root.toString('pem')
  return {
    roots,
    async issue(id, lifetimeMs = HOUR_MS) {
      const own = await createKeyPair()
      const expiresAt = new Date(Math.ceil((Date.now() + lifetimeMs) / 1000) * 1000)
      const leaf = await X509CertificateGenerator.create({
        serialNumber: randomBytes(8).toString('hex'),
        issuer: root.subject,
        notBefore: new Date(Date.now() - HOUR_MS),
        notAfter: expiresAt,
        signingAlgorithm: ALGORITHM,
        publicKey: own.pair.publicKey,
        signingKey: pair.privateKey,
        extensions: [
          new SubjectAlternativeNameExtension([{ type: 'url', value: id }], true),
          new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
          new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        ],
      })
      return { id: parseSpiffeId(id), chain: leaf.toString('pem'), key: own.key, roots, expiresAt }
    },
  }
}
