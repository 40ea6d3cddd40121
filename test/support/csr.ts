// Certificate requests that no sidecar makes: of any key, or with claims of their own.
import 'reflect-metadata'
import { generateKeyPairSync, sign } from 'node:crypto'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  Pkcs10CertificateRequestGenerator,
  SubjectAlternativeNameExtension,
} from '@peculiar/x509'
import { DER, encodeElement } from '#shared/identity/der.ts'

export type KeyType = 'rsa' | 'rsa-1024' | 'rsa-4096' | 'P-384' | 'ed25519' | 'P-256'

/** PKCS #10 with an empty subject and no attributes. */
export function csrOf(type: KeyType): Buffer {
  const { privateKey, publicKey } = keyPair(type)
  const spki = publicKey.export({ type: 'spki', format: 'der' })
  const info = encodeElement(DER.sequence, Buffer.of(2, 1, 0), encodeElement(DER.sequence), spki, Buffer.of(0xa0, 0))
  const [hash, algorithm] = {
    rsa: ['sha256', '300d06092a864886f70d01010b0500'] as const,
    'P-384': ['sha384', '300a06082a8648ce3d040303'] as const,
    ed25519: [null, '300506032b6570'] as const,
    'P-256': ['sha256', '300a06082a8648ce3d040302'] as const,
  }[type.startsWith('rsa') ? 'rsa' : (type as 'P-256')]
  const signature = encodeElement(DER.bitString, Buffer.of(0), sign(hash, info, privateKey))
  return encodeElement(DER.sequence, info, Buffer.from(algorithm, 'hex'), signature)
}

export function keyPair(type: KeyType) {
  if (type.startsWith('rsa')) return generateKeyPairSync('rsa', { modulusLength: Number(type.slice(4) || 2048) })
  if (type === 'ed25519') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('ec', { namedCurve: type })
}

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

export interface Claims {
  readonly subject?: string
  readonly isAuthority?: boolean
  readonly names?: readonly { readonly type: 'url' | 'dns' | 'ip' | 'email'; readonly value: string }[]
}

/** Of a key that is right and its own. */
export async function csrClaiming({ subject = '', isAuthority = false, names = [] }: Claims): Promise<Buffer> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const ofAuthority = [
    new BasicConstraintsExtension(true, 3, true),
    new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
  ]
  const request = await Pkcs10CertificateRequestGenerator.create({
    name: subject,
    keys: {
      privateKey: privateKey.toCryptoKey(ECDSA, false, ['sign']),
      publicKey: publicKey.toCryptoKey(ECDSA, true, ['verify']),
    },
    signingAlgorithm: ECDSA,
    extensions: [
      ...(names.length > 0 ? [new SubjectAlternativeNameExtension([...names])] : []),
      ...(isAuthority ? ofAuthority : []),
    ],
  })
  return Buffer.from(request.rawData)
}
