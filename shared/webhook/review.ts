// AdmissionReview of admission.k8s.io/v1: read from JSON that anybody in reach of the port may send, and answered.
import type { Operation } from '#shared/pod/patch-json.ts'
import { printable } from '#shared/printable.ts'

export interface AdmissionRequest {
  readonly uid: string
  readonly operation: string
  /** "/v1/pods", "/v1/pods/status" */
  readonly resource: string
  readonly namespace: string
  readonly isDryRun: boolean
  /** Null in a deletion. */
  readonly object: unknown
  /** What is there now; null in a creation. */
  readonly oldObject: unknown
}

export interface Verdict {
  readonly patch?: readonly Operation[]
  readonly warnings?: readonly string[]
  /** Not admitted, and why. */
  readonly denial?: { readonly code: 422 | 500; readonly message: string }
}

/** Deeper than any pod: what is read is walked by functions that call themselves. */
const MOST_DEPTH = 64
/** The API server cuts a longer one, and drops those beyond 4096 characters together. */
const MOST_WARNING_CHARACTERS = 250
const MOST_WARNINGS = 15

/** Throws a TypeError that says what would be right. */
export function readReview(text: string): AdmissionRequest {
  if (isDeeperThan(text, MOST_DEPTH)) throw new TypeError(`want JSON of at most ${MOST_DEPTH} levels`)
  const review = asMap(parse(text))
  if (review?.['apiVersion'] !== 'admission.k8s.io/v1' || review['kind'] !== 'AdmissionReview')
    throw new TypeError('want an AdmissionReview of admission.k8s.io/v1')
  const request = asMap(review['request'])
  if (request === undefined) throw new TypeError('request: want a map')
  const { uid, operation, namespace = '', dryRun = false, subResource = '' } = request
  if (typeof uid !== 'string' || uid === '' || uid.length > 128) throw new TypeError('request.uid: want text')
  if (typeof operation !== 'string') throw new TypeError('request.operation: want text')
  if (typeof namespace !== 'string') throw new TypeError('request.namespace: want text')
  if (typeof dryRun !== 'boolean') throw new TypeError('request.dryRun: want true or false')
  const kind = asMap(request['resource']) ?? {}
  const resource = [kind['group'] ?? '', kind['version'] ?? '', kind['resource'] ?? '', subResource]
    .map(String)
    .filter((part, index) => index < 3 || part !== '')
    .join('/')
  const { object = null, oldObject = null } = request
  return { uid, operation, resource, namespace, isDryRun: dryRun, object, oldObject }
}

export function formatReview(uid: string, verdict: Verdict): string {
  const { patch = [], warnings = [], denial } = verdict
  const response = {
    uid,
    allowed: denial === undefined,
    ...(denial !== undefined && { status: { ...denial, message: printable(denial.message) } }),
    ...(patch.length > 0 && { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify(patch)).toString('base64') }),
    ...(warnings.length > 0 && { warnings: shorten(warnings) }),
  }
  return JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response })
}

function shorten(warnings: readonly string[]): string[] {
  const lines = warnings.flatMap((warning) =>
    wrap(`weft: ${printable(warning.slice(0, MOST_WARNINGS * MOST_WARNING_CHARACTERS))}`),
  )
  if (lines.length <= MOST_WARNINGS) return lines
  return [...lines.slice(0, MOST_WARNINGS - 1), `weft: and ${lines.length - MOST_WARNINGS + 1} more`]
}

/** A long one goes on in the next, from a space on where there is one. */
function wrap(text: string): string[] {
  if (text.length <= MOST_WARNING_CHARACTERS) return [text]
  const end = MOST_WARNING_CHARACTERS - ' ...'.length
  const space = text.lastIndexOf(' ', end)
  const at = space > end / 2 ? space : end
  return [`${text.slice(0, at)} ...`, ...wrap(`weft: ... ${text.slice(at).trimStart()}`)]
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new TypeError('want JSON', { cause })
  }
}

function asMap(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}

const [QUOTE, BACKSLASH] = [0x22, 0x5c]
const isOpening = (code: number) => code === 0x5b || code === 0x7b
const isClosing = (code: number) => code === 0x5d || code === 0x7d

/**
 * Counts brackets outside of text, so that nothing deep is ever built. By hand: a regular expression that looks for the end of a text
 * begins anew at each quote of one that has none, and 1 MB of them takes minutes.
 */
function isDeeperThan(text: string, most: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) at = endOfText(text, at)
    else if (isOpening(code)) depth++
    else if (isClosing(code)) depth--
    if (depth > most) return true
  }
  return false
}

/** Where the quote is that ends it; the end of all where there is none. */
function endOfText(text: string, from: number): number {
  for (let at = from + 1; at < text.length; at++) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) return at
    if (code === BACKSLASH) at++
  }
  return text.length
}
