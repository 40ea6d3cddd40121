// The root of a mesh: made at the first start, kept, and checked at each start so that a broken one is told by name at once.
import 'reflect-metadata'
import { createPrivateKey, generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import {
  BasicConstraintsExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  SubjectAlternativeNameExtension,
  SubjectKeyIdentifierExtension,
  X509Certificate,
  X509CertificateGenerator,
} from '@peculiar/x509'
import { readCertificates } from '#shared/identity/pem.ts'

export interface Authority {
  readonly trustDomain: string
  readonly root: X509Certificate
  readonly key: CryptoKey
  /** PEM: our root first, then any others that root.pem holds, such as one that is being replaced. */
  readonly bundle: string
}

export interface AuthorityOptions {
  readonly stateDir: string
  readonly trustDomain: string
  /** Now, milliseconds since 1970. */
  readonly wallMs: number
}

export const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }
const TEN_YEARS_MS = 10 * 365 * 24 * 3600 * 1000
/** For machines whose clocks are a little behind. */
export const BACKDATE_MS = 5 * 60 * 1000

/** Throws an Error for people when what is kept cannot be used; it never replaces a root by itself. */
export async function openAuthority(options: AuthorityOptions): Promise<Authority> {
  const keyFile = join(options.stateDir, 'root.key')
  const rootFile = join(options.stateDir, 'root.pem')
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 })
  if (!existsSync(keyFile) && !existsSync(rootFile)) await makeRoot(keyFile, rootFile, options)
  for (const file of [keyFile, rootFile]) {
    if (!existsSync(file)) throw new Error(`${file} is missing while its partner is there: restore it, or remove both`)
  }
  const mode = statSync(keyFile).mode & 0o777
  if ((mode & 0o077) !== 0) {
    throw new Error(`${keyFile} has the mode ${mode.toString(8)}, others could read it: chmod 600 ${keyFile}`)
  }
  const privateKey = readKey(keyFile)
  const bundle = readFileSync(rootFile, 'utf8')
  const root = readRoot(rootFile, bundle, privateKey, options)
  return { trustDomain: options.trustDomain, root, key: signingKey(privateKey), bundle }
}

function readKey(file: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(file, 'utf8'))
  } catch (error) {
    throw new Error(`${file} holds no private key in PEM form`, { cause: error })
  }
}

function signingKey(key: KeyObject): CryptoKey {
  return key.toCryptoKey(ECDSA, false, ['sign'])
}

function readRoot(file: string, bundle: string, key: KeyObject, options: AuthorityOptions): X509Certificate {
  const [first] = readCertificates(bundle)
  if (first === undefined) throw new Error(`${file} holds no certificate`)
  if (key.asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new Error(`the key of ${file} is not ECDSA P-256`)
  if (!first.checkPrivateKey(key))
    throw new Error(`${file} and root.key are no pair: restore the one that was replaced`)
  if (!first.ca) throw new Error(`${file} is no certificate of an authority`)
  if (options.wallMs >= first.validToDate.getTime()) {
    throw new Error(`${file} ended at ${first.validToDate.toISOString()}: remove it and root.key to make a new root`)
  }
  const root = new X509Certificate(first.raw)
  const uri = root.getExtension(SubjectAlternativeNameExtension)?.names.items.find((name) => name.type === 'url')
  const wanted = `spiffe://${options.trustDomain}`
  if (uri !== undefined && uri.value !== wanted) {
    throw new Error(`${file} is for ${uri.value}, want ${wanted}: use another state directory for this trust domain`)
  }
  return root
}

async function makeRoot(keyFile: string, rootFile: string, options: AuthorityOptions): Promise<void> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const keys = { privateKey: signingKey(privateKey), publicKey: publicKey.toCryptoKey(ECDSA, true, ['verify']) }
  const root = await X509CertificateGenerator.createSelfSigned({
    name: [{ O: ['Weft'] }, { CN: [`root of ${options.trustDomain}`] }],
    serialNumber: randomSerial(),
    notBefore: new Date(options.wallMs - BACKDATE_MS),
    notAfter: new Date(options.wallMs + TEN_YEARS_MS),
    signingAlgorithm: ECDSA,
    keys,
    extensions: [
      new BasicConstraintsExtension(true, undefined, true),
      new KeyUsagesExtension(KeyUsageFlags.keyCertSign | KeyUsageFlags.cRLSign, true),
      await SubjectKeyIdentifierExtension.create(keys.publicKey),
      new SubjectAlternativeNameExtension([{ type: 'url', value: `spiffe://${options.trustDomain}` }]),
    ],
  })
  writeWhole(rootFile, `${root.toString('pem')}\n`, 0o644)
  writeWhole(keyFile, privateKey.export({ type: 'pkcs8', format: 'pem' }), 0o600)
}

/** 20 bytes, positive, so that its DER form is as long (RFC 5280 section 4.1.2.2). */
export function randomSerial(): string {
  const bytes = randomBytes(20)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}

/** Readers see the old file or the new one, never a part. */
export function writeWhole(file: string, content: string | Buffer, mode: number): void {
  const draft = `${file}.draft`
  rmSync(draft, { force: true })
  writeFileSync(draft, content, { mode, flag: 'wx' })
  // The mode given above is less the umask.
  chmodSync(draft, mode)
  renameSync(draft, file)
}
