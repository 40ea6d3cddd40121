// config.weft.dev/*: what a pod may say about its sidecar, in Linkerd's words. The one table that the injector, standalone
// Workloads, control and docs/annotations.md read. An unknown key or a bad value is told, never silently ignored.
import { nearest } from '#shared/resources/nearest.ts'
import { type AnnotationType, cpu, memory, oneOf, portRanges, seconds, subnets } from './annotation-values.ts'

const PREFIX = 'config.weft.dev/'

interface Annotation<T> extends AnnotationType<T> {
  /** As text; empty: none. */
  readonly fallback: string
  /** A Workload on one machine has no container around its sidecar. */
  readonly where: 'everywhere' | 'cluster'
  readonly about: string
}

function everywhere<T>(type: AnnotationType<T>, fallback: string, about: string): Annotation<T> {
  return { ...type, fallback, about, where: 'everywhere' }
}

function cluster<T>(type: AnnotationType<T>, fallback: string, about: string): Annotation<T> {
  return { ...type, fallback, about, where: 'cluster' }
}

const ANNOTATIONS = {
  'skip-inbound-ports': everywhere(
    portRanges,
    '',
    'On these ports the application is reached without the sidecar, so without mutual TLS.',
  ),
  'skip-outbound-ports': everywhere(portRanges, '', 'To these ports the application connects by itself.'),
  'opaque-ports': everywhere(
    portRanges,
    '',
    'Bytes on these ports are passed on under mutual TLS without looking for HTTP.',
  ),
  'compat-ports': everywhere(
    portRanges,
    '',
    'HTTP on these ports is parsed by Node instead of by our strict codecs, whatever a MeshPolicy says: see compat.md.',
  ),
  'skip-subnets': everywhere(subnets, '', 'To these addresses the application connects by itself.'),
  'proxy-cpu-request': cluster(cpu, '50m', 'CPU that the sidecar is sure to get.'),
  'proxy-cpu-limit': cluster(cpu, '', 'CPU that the sidecar never exceeds; none by default, as a limit throttles.'),
  'proxy-memory-request': cluster(memory, '96Mi', 'Memory that the sidecar is sure to get.'),
  'proxy-memory-limit': cluster(
    memory,
    '256Mi',
    'Memory above which the sidecar is ended; its heap stays below three quarters of it.',
  ),
  'proxy-log-level': cluster(
    oneOf('trace', 'debug', 'info', 'warn', 'error', 'silent'),
    'info',
    'Level of the log of the sidecar.',
  ),
  'shutdown-grace-period': cluster(
    seconds(1, 3600),
    '',
    'How long a drain waits for what is in flight. By default 5s less than terminationGracePeriodSeconds, and never more.',
  ),
  'pre-stop-sleep': cluster(
    seconds(0, 300),
    '5s',
    'How long a container without a preStop of its own goes on serving callers that have not heard yet that the pod leaves; at most a third of terminationGracePeriodSeconds. 0s: none.',
  ),
} as const satisfies Readonly<Record<string, Annotation<unknown>>>

type Table = typeof ANNOTATIONS
type Name = keyof Table
type ValueOf<N extends Name> = Table[N] extends Annotation<infer T> ? T : never
/** Undefined where neither annotation nor default says anything. */
export type SidecarOptions = { readonly [N in Name]: ValueOf<N> | undefined }

export interface AnnotationMistake {
  readonly key: string
  /** Null: the key itself is wrong. */
  readonly value: string | null
  readonly want: string
}

/** What is wrong is as if it were not there. */
export function readAnnotations(
  annotations: Readonly<Record<string, string>>,
  where: 'workload' | 'pod' = 'pod',
): { readonly options: SidecarOptions; readonly mistakes: readonly AnnotationMistake[] } {
  const mistakes: AnnotationMistake[] = []
  const options: Record<string, unknown> = {}
  for (const [name, { fallback, parse }] of Object.entries<Annotation<unknown>>(ANNOTATIONS)) {
    options[name] = parse(fallback)
  }
  for (const [key, value] of Object.entries(annotations)) {
    if (!key.startsWith(PREFIX)) continue
    const name = key.slice(PREFIX.length)
    const mistake = mistakeIn(name, value, where)
    if (mistake !== undefined) mistakes.push({ key, ...mistake })
    else if (isKnown(name)) options[name] = ANNOTATIONS[name].parse(value)
  }
  return { options: Object.freeze(options) as SidecarOptions, mistakes }
}

function mistakeIn(name: string, value: string, where: 'workload' | 'pod'): Omit<AnnotationMistake, 'key'> | undefined {
  if (!isKnown(name)) return { value: null, want: wantInstead(name, where) }
  const known: Annotation<unknown> = ANNOTATIONS[name]
  if (where === 'workload' && known.where === 'cluster')
    return { value, want: 'it left out: it is for pods of a cluster' }
  return known.parse(value) === undefined ? { value, want: known.want } : undefined
}

function isKnown(name: string): name is Name {
  return Object.hasOwn(ANNOTATIONS, name)
}

function wantInstead(name: string, where: 'workload' | 'pod'): string {
  const names = Object.entries(ANNOTATIONS).flatMap(([known, annotation]) =>
    where === 'pod' || annotation.where === 'everywhere' ? [known] : [],
  )
  const meant = nearest(name, names)
  const list = names.map((known) => `${PREFIX}${known}`).join(', ')
  return meant === undefined ? `one of ${list}` : `"${PREFIX}${meant}" (known: ${list})`
}

/** One line for an admission warning, whose length the API server limits: the keys that are known are left to the docs. */
export function formatMistake({ key, value, want }: AnnotationMistake): string {
  const right = want
    .replace(/ \(known: .*\)$/s, '')
    .replace(/^one of config\.weft\.dev\/.*$/s, 'see docs/annotations.md')
  const found = value === null ? 'unknown annotation' : `found ${JSON.stringify(value.slice(0, 40))}`
  return `${key.slice(0, 90)}: ${found}; want ${right}`
}

/** docs/annotations.md. */
export function annotationsPage(): string {
  const rows = Object.entries<Annotation<unknown>>(ANNOTATIONS).map(
    ([name, { fallback, want, where, about }]) =>
      `| \`${PREFIX}${name}\` | ${fallback === '' ? '(none)' : `\`${fallback}\``} | ${want} | ${where === 'cluster' ? 'cluster' : 'cluster, one machine'} | ${about} |`,
  )
  return `<!-- Generated from shared/pod/annotations.ts: do not edit. -->
# Annotations

What a pod may say about its sidecar, on its own metadata (in a Deployment: on the pod template's). A key that is not in
the table, or a value that is none of its kind, is an admission warning that says what would be right, and counts as if it
were not there. \`weft.dev/inject: enabled\` or \`disabled\` is a label, on the namespace or on the pod: see [inject.md](inject.md).

| annotation | default | value | where | about |
| --- | --- | --- | --- | --- |
${rows.join('\n')}
`
}
