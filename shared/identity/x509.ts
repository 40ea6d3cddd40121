// Reads the SPIFFE ID of a certificate from its DER bytes and holds it to the rules of a leaf (X509-SVID.md).
// Node's `subjectaltname` text is never parsed: names with commas or NULs have fooled such parsers. Signatures, dates and
// the path to a root are OpenSSL's part, done in the handshake before this is asked.
import { DER, type DerElement, readChildren, readElement, readOnly } from './der.ts'
import { parseSpiffeId, type SpiffeId } from './spiffe-id.ts'

const ID_OF_EXTENSION = {
  subjectAltName: '551d11',
  basicConstraints: '551d13',
  keyUsage: '551d0f',
  extendedKeyUsage: '551d25',
} as const
/** Extensions that may be critical: RFC 5280 section 4.2 says to refuse a critical one that is not understood. */
const UNDERSTOOD: ReadonlySet<string> = new Set(Object.values(ID_OF_EXTENSION))
const SERVER_AUTH = '2b06010505070301'
const CLIENT_AUTH = '2b06010505070302'
/** Context tag [6] of GeneralName: uniformResourceIdentifier. */
const URI_NAME = 0x86
const EXTENSIONS = 0xa3
/** SPIFFE-ID.md section 2.3. */
const MAX_ID_BYTES = 2048
const DIGITAL_SIGNATURE = 0x80
const KEY_CERT_SIGN_AND_CRL_SIGN = 0x06

interface Extension {
  readonly isCritical: boolean
  readonly value: Buffer
}

interface Certificate {
  readonly notAfter: Date
  readonly hasSubject: boolean
  readonly extensions: ReadonlyMap<string, Extension>
}

/** The identity that a leaf certificate (DER) states; throws an Error that says which rule it breaks. */
export function spiffeIdOf(certificate: Buffer): SpiffeId {
  const { extensions, hasSubject } = readCertificate(certificate)
  requireLeaf(extensions)
  requireKeyUsage(extensions)
  requireExtendedKeyUsage(extensions)
  const names = extensions.get(ID_OF_EXTENSION.subjectAltName)
  if (names === undefined) throw new Error('the certificate has no subject alternative name')
  // RFC 5280 section 4.2.1.6: with no subject the name in the SAN is the only one.
  if (!hasSubject && !names.isCritical) throw new Error('the subject is empty and the SAN is not critical')
  return onlyUri(names.value)
}

/** When the certificate (DER) ends; throws an Error when it cannot be read. */
export function notAfterOf(certificate: Buffer): Date {
  return readCertificate(certificate).notAfter
}

function onlyUri(value: Buffer): SpiffeId {
  const names = readChildren(readOnly(value, DER.sequence, 'SAN').content)
  const uris = names.filter((name) => name.tag === URI_NAME)
  const [uri] = uris
  if (uri === undefined) throw new Error('the SAN has no URI')
  if (uris.length > 1) throw new Error('the SAN has more than one URI')
  if (uri.content.length > MAX_ID_BYTES) throw new Error(`the URI is longer than ${MAX_ID_BYTES} bytes`)
  if (uri.content.some((byte) => byte <= 0x20 || byte >= 0x7f)) {
    throw new Error('the URI has bytes that are not printable ASCII')
  }
  return parseSpiffeId(uri.content.toString('latin1'))
}

function requireLeaf(extensions: Certificate['extensions']): void {
  const constraints = extensions.get(ID_OF_EXTENSION.basicConstraints)
  // Absent means cA=false (RFC 5280 section 4.2.1.9); DER leaves the default out of the sequence too.
  if (constraints === undefined) return
  const [first] = readChildren(readOnly(constraints.value, DER.sequence, 'basic constraints').content)
  if (first === undefined) return
  if (first.tag !== DER.boolean || first.content.length !== 1) throw new Error('the basic constraints cannot be read')
  if (first.content[0] !== 0) throw new Error('the certificate is an authority (cA is true)')
}

function requireKeyUsage(extensions: Certificate['extensions']): void {
  const usage = extensions.get(ID_OF_EXTENSION.keyUsage)
  if (usage === undefined) throw new Error('the certificate has no key usage')
  if (!usage.isCritical) throw new Error('the key usage is not critical')
  const bits = readOnly(usage.value, DER.bitString, 'key usage').content[1] ?? 0
  if ((bits & DIGITAL_SIGNATURE) === 0) throw new Error('the key usage lacks digitalSignature')
  if ((bits & KEY_CERT_SIGN_AND_CRL_SIGN) !== 0) throw new Error('the key usage has keyCertSign or cRLSign')
}

function requireExtendedKeyUsage(extensions: Certificate['extensions']): void {
  const usage = extensions.get(ID_OF_EXTENSION.extendedKeyUsage)
  if (usage === undefined) return
  const purposes = readChildren(readOnly(usage.value, DER.sequence, 'extended key usage').content).map((purpose) =>
    purpose.content.toString('hex'),
  )
  if (!purposes.includes(SERVER_AUTH) || !purposes.includes(CLIENT_AUTH)) {
    throw new Error('the extended key usage lacks serverAuth or clientAuth')
  }
}

/** Certificate and TBSCertificate of RFC 5280 section 4.1, with optional fields told apart by their tags. */
function readCertificate(der: Buffer): Certificate {
  const outer = readChildren(readOnly(der, DER.sequence, 'certificate').content)
  const [body, algorithm] = outer
  if (outer.length !== 3 || body === undefined || algorithm === undefined) throw new Error('this is no certificate')
  const [version, , innerAlgorithm, , validity, subject, , ...rest] = readChildren(body.content)
  if (version?.tag !== 0xa0 || readElement(version.content).content[0] !== 2)
    throw new Error('this is no X.509 version 3')
  if (innerAlgorithm === undefined || !innerAlgorithm.raw.equals(algorithm.raw)) {
    throw new Error('the two signature algorithms differ')
  }
  const [, notAfter] = readChildren(validity?.content ?? Buffer.alloc(0))
  if (notAfter === undefined || subject === undefined) throw new Error('this is no certificate')
  const extensions = rest.find((field) => field.tag === EXTENSIONS)
  return {
    notAfter: readTime(notAfter),
    hasSubject: subject.content.length > 0,
    extensions: readExtensions(extensions),
  }
}

function readExtensions(field: DerElement | undefined): ReadonlyMap<string, Extension> {
  const found = new Map<string, Extension>()
  if (field === undefined) return found
  for (const extension of readChildren(readOnly(field.content, DER.sequence, 'list of extensions').content)) {
    const parts = readChildren(extension.content)
    const [id, flag] = parts
    const value = parts.at(-1)
    if (id?.tag !== DER.oid || value?.tag !== DER.octetString) throw new Error('an extension cannot be read')
    const name = id.content.toString('hex')
    const isCritical = flag?.tag === DER.boolean && flag.content[0] !== 0
    // RFC 5280 section 4.2: never twice; two readers could each believe another one.
    if (found.has(name)) throw new Error('an extension stands twice')
    if (isCritical && !UNDERSTOOD.has(name)) throw new Error('a critical extension is not understood')
    found.set(name, { isCritical, value: value.content })
  }
  return found
}

/** RFC 5280 section 4.1.2.5: both forms in UTC with seconds; two-digit years up to 49 are of this century. */
function readTime(element: DerElement): Date {
  const text = element.content.toString('latin1')
  const match = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text)
  if (match === null) throw new Error('a date of the certificate cannot be read')
  const [, yearText = '', month, day, hour, minute, second] = match
  const isShort = element.tag === DER.utcTime
  if (isShort !== (yearText.length === 2) || (!isShort && element.tag !== DER.generalizedTime)) {
    throw new Error('a date of the certificate cannot be read')
  }
  const year = isShort ? Number(yearText) + (Number(yearText) < 50 ? 2000 : 1900) : Number(yearText)
  return new Date(Date.UTC(year, Number(month) - 1, Number(day), Number(hour), Number(minute), Number(second)))
}
