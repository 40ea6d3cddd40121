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

/** All PEM: `chain` is the intermediate alone. */
export async function makeIntermediate(): Promise<{ root: string; chain: string; key: string }> {
  const [top, middle] = [makeKey(), makeKey()]
  const root = await makeCertificate('CN=an organisation', 'CN=an organisation', top.publicKey, top.privateKey)
  const chain = await makeCertificate('CN=its mesh', 'CN=an organisation', middle.publicKey, top.privateKey)
  return { root, chain, key: middle.privateKey.export({ type: 'sec1', format: 'pem' }).toString() }
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
