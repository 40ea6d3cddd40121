// PEM texts with one or more certificates, and the walk from a leaf up to a trusted root.
import { X509Certificate } from 'node:crypto'

const BLOCK = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g

/** Every certificate in the text, in order; throws an Error when there is none or one cannot be read. */
export function readCertificates(pem: string): X509Certificate[] {
  const blocks = pem.match(BLOCK) ?? []
  if (blocks.length === 0) throw new Error('no certificate in PEM form')
  return blocks.map((block) => new X509Certificate(block))
}

/** Throws an Error that says where the walk ends. `wallMs` is now, milliseconds since 1970. */
export function requireChainToRoot(chain: string, roots: string, wallMs: number): void {
  const trusted = readCertificates(roots)
  const certificates = readCertificates(chain)
  for (const [index, certificate] of certificates.entries()) {
    requireValidNow(certificate, wallMs)
    const root = trusted.find((candidate) => isIssuedBy(certificate, candidate))
    if (root !== undefined) return requireValidNow(root, wallMs)
    const next = certificates[index + 1]
    if (next === undefined || !isIssuedBy(certificate, next)) break
  }
  throw new Error('the certificate was signed by none of the trusted roots')
}

function isIssuedBy(certificate: X509Certificate, issuer: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
}

function requireValidNow(certificate: X509Certificate, wallMs: number): void {
  if (wallMs < certificate.validFromDate.getTime()) {
    throw new Error(`a certificate is valid only from ${certificate.validFromDate.toISOString()}; check the clock`)
  }
  if (wallMs >= certificate.validToDate.getTime()) {
    throw new Error(`a certificate ended at ${certificate.validToDate.toISOString()}`)
  }
}
