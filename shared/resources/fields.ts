// The building stones of the kinds. A schema's message is always the "want" half of a Problem: what would be right.
import { z } from 'zod'
import { parseDuration } from '#shared/settings.ts'
import { nearest } from './nearest.ts'

/**
 * A map with just these fields. `unsupported` names fields that Kubernetes or the Gateway API know and Weft does not honour
 * yet, so that the answer is not "unknown". The message about unknown keys is for wantInstead() below.
 */
export function fields<S extends z.core.$ZodShape>(shape: S, unsupported: readonly string[] = []) {
  const known = Object.keys(shape)
  const [names, aMap] = [JSON.stringify({ known, unsupported }), `a map with the fields ${known.join(', ')}`]
  return z.strictObject(shape, { error: (issue) => (issue.code === 'unrecognized_keys' ? names : aMap) })
}

interface Names {
  readonly known: readonly string[]
  readonly unsupported: readonly string[]
}

/** Looked for when it is shown: the nearest of some names takes its time, and an object may have a hundred thousand unknown keys. */
export function wantInstead(key: string, message: string): string {
  const { known, unsupported } = JSON.parse(message) as Names
  if (unsupported.includes(key)) return LEFT_OUT
  const meant = nearest(key, known)
  const list = known.length === 1 ? `"${known[0]}"` : `one of ${known.join(', ')}`
  return meant === undefined ? list : `"${meant}" (known here: ${known.join(', ')})`
}

export const LEFT_OUT = 'it left out'

export function wholeNumber(least: number, most: number) {
  const error = `a whole number, ${least} to ${most}`
  return z.int({ error }).min(least, { error }).max(most, { error })
}

export function text(most: number, want = `text of 1 to ${most} characters`) {
  return z
    .string({ error: want })
    .min(1, { error: want })
    .max(most, { error: want })
    .refine(hasNoNul, { error: 'text without NUL' })
}

export function matching(pattern: RegExp, most: number, want: string) {
  return z.string({ error: want }).max(most, { error: want }).regex(pattern, { error: want })
}

const hasNoNul = (value: string) => !value.includes('\0')

const LABEL_NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const SUBDOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

/** RFC 1123 label: names of services, workloads, namespaces. */
export const labelName = matching(
  LABEL_NAME,
  63,
  'a name of lower-case letters, digits and "-", at most 63, such as catalog-v2',
)
/** RFC 1123 subdomain: names of other objects. */
export const subdomainName = matching(
  SUBDOMAIN,
  253,
  'a name of lower-case letters, digits, "-" and ".", at most 253, such as catalog-canary',
)
/** IANA_SVC_NAME: names of ports. */
export const portName = matching(
  /^(?=.*[a-z])[a-z0-9]+(-[a-z0-9]+)*$/,
  15,
  'a port name of lower-case letters, digits and single "-", at most 15, such as http or grpc-admin',
)

export const portNumber = wholeNumber(1, 65535)

/** GEP-2257, kept as written; parseDuration() of settings.ts gives milliseconds. At most four parts of seven characters. */
export const duration = matching(/^([0-9]{1,5}(h|m|s|ms)){1,4}$/, 28, 'a duration such as 250ms, 10s or 1h30m')

const ABOVE_ZERO = 'a duration above 0, such as 250ms, 10s or 1h30m'
export const positiveDuration = duration
  .refine((value) => parseDuration(value) !== 0, { error: ABOVE_ZERO })
  .meta(celRules({ rule: "self.matches('[1-9]') || !self.matches('[0-9]')", message: ABOVE_ZERO }))

export function oneOf<const T extends readonly [string, ...string[]]>(...values: T) {
  return z.enum(values, { error: values.length === 1 ? values[0] : `one of ${values.join(', ')}` })
}

export const yesOrNo = z.boolean({ error: 'true or false' })

/** An `example` is shown to whoever wrote something else, such as one text. */
export function list<T extends z.ZodType>(item: T, least: number, most: number, example?: string) {
  const size = least === 0 ? `a list of at most ${most} items` : `a list of ${least} to ${most} items`
  const error = example === undefined ? size : `${size}, such as ${example}`
  return z.array(item, { error }).min(least, { error }).max(most, { error })
}

/** Keys and values both text; at most 256 entries. */
export function textMap(key: z.ZodType<string, string>, value: z.ZodType<string, string>) {
  return z
    .record(key, value, { error: 'a map of text to text' })
    .refine((map) => Object.keys(map).length <= 256, { error: 'a map of at most 256 entries' })
    .meta({ maxProperties: 256 })
}

const qualifiedName = matching(
  /^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/,
  317,
  'a key such as app or example.com/team',
)
const labelValue = matching(
  /^([A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?)?$/,
  63,
  'a label value: letters, digits, "-", "_", ".", at most 63',
)

export const labels = textMap(qualifiedName, labelValue)
const annotations = textMap(
  qualifiedName,
  z.string({ error: 'text' }).max(65_536, { error: 'text of at most 65536 characters' }),
)

const written = {
  labels: labels.default({}),
  annotations: annotations.default({}),
  /** Only to tell which of two policies or routes is older. */
  creationTimestamp: z.iso.datetime({ offset: true, error: 'a time such as 2026-01-31T12:00:00Z' }).optional(),
  // What an API server adds and nobody writes; taken so that `kubectl get -o yaml` can be read back.
  uid: z.unknown().optional(),
  resourceVersion: z.unknown().optional(),
  generation: z.unknown().optional(),
  managedFields: z.unknown().optional(),
}

export function metadata<N extends z.ZodType<string, string>>(name: N) {
  return fields({ name, namespace: labelName.default('default'), ...written })
}

/** Of an object that lies in no namespace. */
export function meshWideMetadata<N extends z.ZodType<string, string>>(name: N) {
  return fields({ name, ...written })
}

/** A kind: what every document has. `status` is what a control plane wrote: taken and not looked at. */
export function kind<A extends string, K extends string, M extends z.ZodType, S extends z.ZodType>(parts: {
  apiVersion: A
  kind: K
  metadata: M
  spec: S
}) {
  return fields({
    apiVersion: z.literal(parts.apiVersion),
    kind: z.literal(parts.kind),
    metadata: parts.metadata,
    spec: parts.spec,
    status: z.unknown().optional(),
  })
}

export interface CelRule {
  /** An expression of CEL in which `self` is the value that carries the rule. */
  readonly rule: string
  /** What would be right, as in a Problem. */
  readonly message: string
  /** Of the field at fault, from `self` on: ".group". */
  readonly fieldPath?: string
}

/** For `.meta()`: what a refinement beside it checks, said to an API server (see crd/structural.ts). */
export function celRules(...rules: readonly CelRule[]) {
  return { 'x-kubernetes-validations': rules.map((rule) => ({ ...rule, message: `want ${rule.message}` })) }
}

/** Adds an issue to each item whose key was there before. */
export function noRepeats<T>(keyOf: (item: T) => string | undefined, field: string) {
  return (items: readonly T[], context: z.core.$RefinementCtx) => {
    const seen = new Set<string>()
    for (const [index, item] of items.entries()) {
      const key = keyOf(item)
      if (key === undefined) continue
      if (seen.has(key)) refuse(context, [index, field], `a ${field} that no other item has`, `"${key}" a second time`)
      seen.add(key)
    }
  }
}

/** A cross-field mistake: `found` replaces the plain value in the text. */
export function refuse(context: z.core.$RefinementCtx, path: PropertyKey[], want: string, found?: string): void {
  context.issues.push({ code: 'custom', path, message: want, input: undefined, params: { found } })
}
