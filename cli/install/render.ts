// Fills a tree of template.ts with values as Helm would, byte for byte: toJson of Go, and Helm's order of kinds.
import { printFile, type Reader } from './print.ts'
import type { Condition, Source, TemplateFile } from './template.ts'

export interface Release {
  readonly name: string
  readonly namespace: string
}

export type Values = { readonly [name: string]: unknown }

/** What `helm template NAME CHART` prints for these files. */
export function renderChart(chart: string, files: readonly TemplateFile[], release: Release, values: Values): string {
  const reader = fill(release, values)
  const manifests = files
    .toSorted((one, other) => compare(one.path, other.path))
    .flatMap((file) =>
      printFile(file, reader)
        .split(/^---$/m)
        .map((document) => document.trim())
        .filter((document) => document !== '')
        .map((document) => ({ source: `${chart}/templates/${file.path}`, document })),
    )
  return manifests
    .toSorted((one, other) => byKind(one.document, other.document))
    .map(({ source, document }) => `---\n# Source: ${source}\n${document}\n`)
    .join('')
}

function fill(release: Release, values: Values): Reader {
  const get = (source: Source): unknown => {
    if ('values' in source) {
      const found = valueAt(values, source.values)
      return source.joinedBy === undefined ? found : ((found ?? []) as readonly string[]).join(source.joinedBy)
    }
    return { Name: release.name, Namespace: release.namespace, Service: 'Helm' }[source.release]
  }
  return {
    hole: ({ parts, isText }) => {
      const contents = parts.map((part) => (typeof part === 'string' ? part : get(part)))
      return toJson(isText ? contents.join('') : contents[0])
    },
    guard: (condition, lines) => (holds(condition, get) ? lines : []),
  }
}

function holds(condition: Condition, get: (source: Source) => unknown): boolean {
  if ('isSet' in condition) return isTruthy(get(condition.isSet))
  if ('is' in condition) return get(condition.source) === condition.is
  if ('not' in condition) return !holds(condition.not, get)
  if ('all' in condition) return condition.all.every((one) => holds(one, get))
  return condition.any.some((one) => holds(one, get))
}

function valueAt(values: Values, path: string): unknown {
  return path.split('.').reduce<unknown>((value, name) => (value as Values | undefined)?.[name], values)
}

/** In a template of Go the empty list and map are false too. */
function isTruthy(value: unknown): boolean {
  return typeof value === 'object' && value !== null ? Object.keys(value).length > 0 : Boolean(value)
}

/** Go sorts the keys of a map and escapes what could end a script element. */
function toJson(value: unknown): string {
  return JSON.stringify(sorted(value ?? null)).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  const entries = Object.entries(value).toSorted(([one], [other]) =>
    Buffer.compare(Buffer.from(one), Buffer.from(other)),
  )
  return Object.fromEntries(entries.map(([name, inner]) => [name, sorted(inner)]))
}

/** InstallOrder of Helm (pkg/releaseutil/kind_sorter.go), of the kinds that the charts have. Others come last, by name. */
const KINDS = [
  'Namespace',
  'NetworkPolicy',
  'PodDisruptionBudget',
  'ServiceAccount',
  'CustomResourceDefinition',
  'ClusterRole',
  'ClusterRoleBinding',
  'Role',
  'RoleBinding',
  'Service',
  'Deployment',
  'StatefulSet',
  'CronJob',
]

function byKind(one: string, other: string): number {
  const [first, second] = [kindOf(one), kindOf(other)]
  const place = (kind: string) => (KINDS.includes(kind) ? KINDS.indexOf(kind) : KINDS.length)
  return place(first) - place(second) || (place(first) === KINDS.length ? compare(first, second) : 0)
}

const kindOf = (document: string) => /^kind: (\S+)$/m.exec(document)?.[1] ?? ''
const compare = (one: string, other: string) => (one === other ? 0 : one < other ? -1 : 1)
