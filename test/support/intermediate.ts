// A root with an intermediate under it, as an organisation or cert-manager hands one over.
import 'reflect-metadata'
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PublicKey,
  X509CertificateGenerator,
} from '@peculiar/x509'

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const DAY_MS = 24 * 3600 * 1000

export interface Intermediate {
  /** PEM. */
  readonly root: string
  readonly rootKey: KeyObject
  /** PEM: the intermediate alone. */
  readonly chain: string
  /** PEM. */
  readonly key: string
}

/** Under the root of `sibling`, or under one of its own. */
export async function makeIntermediate(sibling?: Intermediate): Promise<Intermediate> {
  const [top, middle] = [makeKey(), makeKey()]
  const rootKey = sibling?.rootKey ?? top.privateKey
  const root =
    sibling?.root ?? (await makeCertificate('CN=an organisation', 'CN=an organisation', top.publicKey, rootKey))
  const chain = await makeCertificate('CN=its mesh', 'CN=an organisation', middle.publicKey, rootKey)
  return { root, rootKey, chain, key: middle.privateKey.export({ type: 'sec1', format: 'pem' }).toString() }
}

const makeKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' })

async function makeCertificate(subject: string, issuer: string, publicKey: KeyObject, key: KeyObject): Promise<string> {
  const certificate = await X509CertificateGenerator.create({
    serialNumber: `41${randomBytes(15).toString('hex')}`,
    subject,
    issuer,
    notBefore: new Date(Date.now() - DAY_MS),
    notAfter: new Date(Date.now() + 30 * DAY_MS),
    publicKey: new PublicKey(publicKey.export({ type: 'spki', format: 'der' })),
    signingKey: key.toCryptoKey(ECDSA, false, ['sign']),
    signingAlgorithm: ECDSA,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
    ],
  })
  return `${certificate.toString('pem')}\n`
}
