// A self-signed certificate of a server (RFC 5280), encoded by hand since Node cannot: one fixed shape, P-256, names in the SAN.
// Self-signed, as the API server is given exactly this certificate to trust: there is no authority's key that could leak.
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { DER, encodeElement } from '#shared/identity/der.ts'

export interface SelfSigned {
  /** PEM. */
  readonly certificate: string
  /** PEM, PKCS #8. */
  readonly key: string
}

export interface SelfSignedOptions {
  /** DNS names, the first one the subject as well; 64 letters at most for that one (RFC 5280 appendix A). */
  readonly names: readonly string[]
  readonly notBefore: Date
  readonly notAfter: Date
}

const UTF8_STRING = 0x0c
const DNS_NAME = 0x82
const ECDSA_WITH_SHA256 = encodeElement(DER.sequence, oid('2a8648ce3d040302'))
const COMMON_NAME = oid('550403')
const KEY_USAGE = oid('551d0f')
const SUBJECT_ALT_NAME = oid('551d11')
const BASIC_CONSTRAINTS = oid('551d13')
const EXTENDED_KEY_USAGE = oid('551d25')
const SERVER_AUTH = oid('2b06010505070301')
const CRITICAL = Buffer.of(DER.boolean, 1, 0xff)
const VERSION_3 = encodeElement(0xa0, Buffer.of(DER.integer, 1, 2))
/** Bit 0 of seven unused: digitalSignature. */
const DIGITAL_SIGNATURE = Buffer.of(DER.bitString, 2, 7, 0x80)
const LONGEST_COMMON_NAME = 64

function oid(hex: string): Buffer {
  return encodeElement(DER.oid, Buffer.from(hex, 'hex'))
}

export function makeSelfSigned(options: SelfSignedOptions): SelfSigned {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const name = nameOf(options.names[0] ?? '')
  const body = encodeElement(
    DER.sequence,
    VERSION_3,
    encodeElement(DER.integer, serialNumber()),
    ECDSA_WITH_SHA256,
    name,
    encodeElement(DER.sequence, time(options.notBefore), time(options.notAfter)),
    name,
    publicKey.export({ type: 'spki', format: 'der' }),
    encodeElement(0xa3, encodeElement(DER.sequence, ...extensions(options.names))),
  )
  const signature = encodeElement(DER.bitString, Buffer.of(0), sign('sha256', body, privateKey))
  const der = encodeElement(DER.sequence, body, ECDSA_WITH_SHA256, signature)
  const lines = der.toString('base64').replaceAll(/.{64}(?=.)/g, '$&\n')
  return {
    certificate: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`,
    key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

function* extensions(names: readonly string[]): Generator<Buffer> {
  const dnsNames = names.map((name) => encodeElement(DNS_NAME, Buffer.from(name, 'latin1')))
  yield extension(SUBJECT_ALT_NAME, encodeElement(DER.sequence, ...dnsNames))
  yield extension(BASIC_CONSTRAINTS, encodeElement(DER.sequence), CRITICAL)
  yield extension(KEY_USAGE, DIGITAL_SIGNATURE, CRITICAL)
  yield extension(EXTENDED_KEY_USAGE, encodeElement(DER.sequence, SERVER_AUTH))
}

function extension(id: Buffer, value: Buffer, ...criticality: readonly Buffer[]): Buffer {
  return encodeElement(DER.sequence, id, ...criticality, encodeElement(DER.octetString, value))
}

function nameOf(commonName: string): Buffer {
  const text = encodeElement(UTF8_STRING, Buffer.from(commonName.slice(0, LONGEST_COMMON_NAME)))
  return encodeElement(DER.sequence, encodeElement(DER.set, encodeElement(DER.sequence, COMMON_NAME, text)))
}

/** Section 4.1.2.2: positive and at most 20 bytes. */
function serialNumber(): Buffer {
  const bytes = randomBytes(20)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes
}

/** Section 4.1.2.5: two digits for the year up to 2049, four from then on. */
function time(date: Date): Buffer {
  const text = date.toISOString().replaceAll(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050
    ? encodeElement(DER.utcTime, Buffer.from(text.slice(2)))
    : encodeElement(DER.generalizedTime, Buffer.from(text))
}
