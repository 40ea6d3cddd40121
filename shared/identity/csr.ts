// A certificate request (PKCS #10, RFC 2986) in its one shape: no subject, a P-256 key, the SPIFFE ID in a critical SAN.
// Encoded by hand because an X.509 library costs a sidecar 24 MB. The authority takes only the key from it.
import { type KeyObject, sign } from 'node:crypto'
import { DER, encodeElement } from './der.ts'
import type { SpiffeId } from './spiffe-id.ts'

const VERSION_0 = Buffer.of(DER.integer, 1, 0)
const ECDSA_WITH_SHA256 = encodeElement(DER.sequence, oid('2a8648ce3d040302'))
const EXTENSION_REQUEST = oid('2a864886f70d01090e')
const SUBJECT_ALT_NAME = oid('551d11')
const CRITICAL = Buffer.of(DER.boolean, 1, 0xff)

function oid(hex: string): Buffer {
  return encodeElement(DER.oid, Buffer.from(hex, 'hex'))
}

/** DER of a signed request for the key pair; the keys are ECDSA P-256. */
export function encodeCsr(privateKey: KeyObject, publicKey: KeyObject, id: SpiffeId): Buffer {
  const names = encodeElement(DER.sequence, encodeElement(0x86, Buffer.from(id, 'latin1')))
  const extension = encodeElement(DER.sequence, SUBJECT_ALT_NAME, CRITICAL, encodeElement(DER.octetString, names))
  const attribute = encodeElement(
    DER.sequence,
    EXTENSION_REQUEST,
    encodeElement(DER.set, encodeElement(DER.sequence, extension)),
  )
  const info = encodeElement(
    DER.sequence,
    VERSION_0,
    encodeElement(DER.sequence),
    publicKey.export({ type: 'spki', format: 'der' }),
    encodeElement(0xa0, attribute),
  )
  const signature = sign('sha256', info, privateKey)
  return encodeElement(DER.sequence, info, ECDSA_WITH_SHA256, encodeElement(DER.bitString, Buffer.of(0), signature))
}
