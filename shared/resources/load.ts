// From files to checked resources, or to every mistake with its place. The one way in for YAML: CLI and control plane both use it.
import { explain, wantByDefault } from './explain.ts'
import { describeResource, KINDS, type Kind, type Resource, type ResourceOf } from './kinds.ts'
import { nearest } from './nearest.ts'
import { parseYaml, type YamlDocument } from './parse-yaml.ts'
import { describeValue, type Problem } from './problem.ts'
import { excessOfValue } from './yaml-limits.ts'

export interface SourceFile {
  readonly path: string
  readonly text: string
}

export interface Loaded<R extends Resource = Resource> {
  readonly resource: R
  /** "HTTPRoute shop/catalog" */
  readonly name: string
  readonly file: string
  /** Where the document begins, counted from 1. */
  readonly line: number
}

export interface LoadResult {
  readonly documents: readonly Loaded[]
  /** Empty: everything is right. Otherwise nothing of it should be put in force. */
  readonly problems: readonly Problem[]
}

export function loadDocuments(files: readonly SourceFile[]): LoadResult {
  const documents: Loaded[] = []
  const problems: Problem[] = []
  for (const { path: file, text } of files) {
    const parsed = parseYaml(file, text)
    for (const problem of parsed.problems) problems.push(problem)
    for (const [index, document] of parsed.documents.entries()) {
      const result = check(file, document, index)
      if ('resource' in result) documents.push(result)
      else problems.push(...result.problems)
    }
  }
  problems.push(...findClashes(documents))
  return { documents, problems: shortened(problems) }
}

/** A file of the wrong sort has mistakes without end. */
function shortened(problems: readonly Problem[]): readonly Problem[] {
  const rest = problems[MOST_PROBLEMS]
  if (rest === undefined) return problems
  const more = {
    ...rest,
    object: null,
    path: '',
    found: `${problems.length - MOST_PROBLEMS} further mistakes`,
    want: 'those above mended first',
  }
  return [...problems.slice(0, MOST_PROBLEMS), more]
}

const MOST_PROBLEMS = 100

/**
 * Files in layers, as `weft apply` lays its objects over mesh.yaml: an object of a later file stands in for the same object of an
 * earlier one. Within a file an object may stand once.
 */
export function loadLayers(files: readonly SourceFile[]): LoadResult {
  const layers = files.map((file) => loadDocuments([file]))
  const merged = new Map<string, Loaded>()
  for (const { documents } of layers) for (const document of documents) merged.set(document.name, document)
  const documents = [...merged.values()]
  const problems = layers.flatMap((layer) => layer.problems)
  // What clashes within one file has been said.
  return { documents, problems: problems.length > 0 ? problems : findClashes(documents) }
}

/** The resources of one kind, in the order of the files. */
export function ofKind<K extends Kind>(documents: readonly Loaded[], kind: K): readonly ResourceOf<K>[] {
  return documents
    .map(({ resource }) => resource)
    .filter((resource): resource is ResourceOf<K> => resource.kind === kind)
}

/** One object that does not come from a file: it has no place. `source` is what problems call where it came from. */
export function checkResource(source: string, value: unknown): Loaded | { readonly problems: readonly Problem[] } {
  const place = { line: 0, column: 0 }
  const excess = excessOfValue(value)
  if (excess !== undefined) {
    return { problems: [{ file: source, ...place, object: describeUnchecked(value, 0), path: '', ...excess }] }
  }
  return check(source, { value, place, placeOf: () => place }, 0)
}

function check(file: string, document: YamlDocument, index: number): Loaded | { problems: Problem[] } {
  const { value } = document
  const object = describeUnchecked(value, index)
  const kind = kindOf(value)
  if (typeof kind !== 'string')
    return { problems: [{ file, ...document.placeOf(kind.path === '' ? [] : [kind.path], false), object, ...kind }] }
  const result = KINDS[kind].schema.safeParse(value, { error: wantByDefault })
  if (result.success)
    return { resource: result.data, name: describeResource(result.data), file, line: document.place.line }
  const problems = result.error.issues.slice(0, MOST_PROBLEMS).flatMap((issue) => explain(issue, value))
  return {
    problems: problems.map(({ path, isName, text }) => ({ file, ...document.placeOf(path, isName), object, ...text })),
  }
}

function kindOf(value: unknown): Kind | { path: string; found: string; want: string } {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return { path: '', found: describeValue(value), want: 'an object with apiVersion, kind, metadata and spec' }
  }
  const { apiVersion, kind } = value as { apiVersion?: unknown; kind?: unknown }
  const names = Object.keys(KINDS) as Kind[]
  const known = names.find((name) => name === kind)
  if (known === undefined) {
    return { path: 'kind', found: describeValue(kind), want: kindWanted(kind, names) }
  }
  if (apiVersion === KINDS[known].apiVersion) return known
  return { path: 'apiVersion', found: describeValue(apiVersion), want: `${KINDS[known].apiVersion} for kind ${known}` }
}

/** What makes pods in a cluster. */
const POD_MAKERS: readonly unknown[] = ['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'Pod']

function kindWanted(kind: unknown, names: readonly Kind[]): string {
  if (POD_MAKERS.includes(kind)) return `"Workload", which stands in for it on one machine (docs/standalone.md)`
  const meant = typeof kind === 'string' ? nearest(kind, names) : undefined
  return meant === undefined ? `one of ${names.join(', ')}` : `"${meant}" (known: ${names.join(', ')})`
}

/** The name of an object that may be wrong in any way. */
function describeUnchecked(value: unknown, index: number): string {
  const fallback = `document ${index + 1}`
  if (typeof value !== 'object' || value === null) return fallback
  const { kind, metadata } = value as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } | null }
  if (typeof kind !== 'string' || typeof metadata?.name !== 'string') return fallback
  const namespace = typeof metadata.namespace === 'string' ? metadata.namespace : 'default'
  const name = kind === 'Mesh' ? metadata.name : `${namespace}/${metadata.name}`
  return `${kind} ${name}`.slice(0, 200)
}

/** Two of one name; two meshes; two workloads whose pods would have one name. */
function findClashes(documents: readonly Loaded[]): Problem[] {
  const problems: Problem[] = []
  const first = new Map<string, Loaded>()
  const clash = (key: string, document: Loaded, found: string, want: string) => {
    const other = first.get(key)
    if (other === undefined) return void first.set(key, document)
    const { file, line, name } = document
    problems.push({
      file,
      line,
      column: 1,
      object: name,
      path: 'metadata.name',
      found: `${found} (the other: ${other.file}:${other.line})`,
      want,
    })
  }
  for (const document of documents) {
    const { kind, metadata } = document.resource
    const before = problems.length
    clash(document.name, document, 'the same object a second time', 'each object once')
    if (problems.length > before) continue
    if (kind === 'Mesh') clash('Mesh', document, 'a second Mesh', 'one Mesh')
    if (kind === 'Workload')
      clash(
        `pod ${metadata.name}`,
        document,
        'a Workload of this name in another namespace',
        'a name of its own: pods of one machine share one list of names',
      )
  }
  return problems
}
