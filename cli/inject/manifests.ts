// Manifests with sidecars: every pod template in them is treated as the webhook would treat its pods. Other documents stay
// as they are, to the letter. Read as kubectl reads YAML (1.1: `defaultMode: 0644` is octal), and written to be read so.
import { type Document, parseAllDocuments, stringify, type Tags } from 'yaml'
import { decideInjection } from '#shared/pod/eligible.ts'
import { type Pod, readPod, type TextMap } from '#shared/pod/kubernetes-pod.ts'
import { INJECT_LABEL } from '#shared/pod/names.ts'
import { injectPod } from '#shared/pod/patch.ts'
import type { InjectionSettings } from '#shared/pod/template.ts'
import { excessOf } from '#shared/resources/yaml-limits.ts'

export interface ManifestOptions {
  readonly settings: InjectionSettings
  /** Of objects that name none. */
  readonly namespace: string
  readonly ownNamespace: string
}

export interface InjectedManifests {
  readonly text: string
  /** "Deployment shop/catalog: ..." */
  readonly warnings: readonly string[]
  /** The objects that have got sidecars. */
  readonly injected: readonly string[]
}

/** Who calls the command has asked; a label on the pods may still say no. */
const ASKED: TextMap = { [INJECT_LABEL]: 'enabled' }

/** Where the pod template is. */
const TEMPLATES: Readonly<Record<string, readonly string[]>> = {
  'v1 Pod': [],
  'v1 ReplicationController': ['spec', 'template'],
  'apps/v1 Deployment': ['spec', 'template'],
  'apps/v1 StatefulSet': ['spec', 'template'],
  'apps/v1 DaemonSet': ['spec', 'template'],
  'apps/v1 ReplicaSet': ['spec', 'template'],
  'batch/v1 Job': ['spec', 'template'],
  'batch/v1 CronJob': ['spec', 'jobTemplate', 'spec', 'template'],
}

type Json = Readonly<Record<string, unknown>>

/** Throws an Error with the document at fault. */
export function injectManifests(text: string, options: ManifestOptions): InjectedManifests {
  const excess = excessOf(text)
  if (excess !== undefined) throw new Error(`found ${excess.found}; want ${excess.want}`)
  const warnings: string[] = []
  const injected: string[] = []
  const parts = partsOf(text).map((source, index) => {
    const value = read(source, index + 1)
    const changed = injectObject(value, { ...options, warnings, injected })
    if (changed === value) return source
    const marker = /^---(?=\s|$)/.test(source) ? '---\n' : ''
    return `${marker}${stringify(changed, { version: '1.1', lineWidth: 0, aliasDuplicateObjects: false })}`
  })
  return { text: parts.join(''), warnings, injected }
}

/** At "---", which nothing but the beginning of a document can be in the first column (YAML 1.2.2, section 9.1.4). */
function partsOf(text: string): string[] {
  return text.split(/^(?=---(?:\s|$))/m)
}

function read(source: string, number: number): unknown {
  const [document]: readonly (Document | undefined)[] = [
    ...parseAllDocuments(source, { version: '1.1', customTags: asKubectl, uniqueKeys: true, prettyErrors: true }),
  ]
  const [error] = document?.errors ?? []
  if (error !== undefined) throw new Error(`document ${number}: ${error.message}`)
  try {
    return document?.toJS({ maxAliasCount: 100 })
  } catch (cause) {
    throw new Error(`document ${number}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** kubectl knows neither times nor numbers of base 60: they are text. */
function asKubectl(tags: Tags): Tags {
  const unknown = /:(?:timestamp|binary|omap|pairs|set)$/
  return tags.filter((tag) => typeof tag === 'string' || (!unknown.test(tag.tag) && tag.format !== 'TIME'))
}

interface Collecting extends ManifestOptions {
  readonly warnings: string[]
  readonly injected: string[]
}

/** The very same value where nothing changes. */
function injectObject(value: unknown, context: Collecting): unknown {
  if (!isMap(value)) return value
  if (value['kind'] === 'List' && Array.isArray(value['items'])) {
    const before: readonly unknown[] = value['items']
    const items = before.map((item) => injectObject(item, context))
    return items.every((item, index) => item === before[index]) ? value : { ...value, items }
  }
  const path = TEMPLATES[`${String(value['apiVersion'])} ${String(value['kind'])}`]
  return path === undefined ? value : injectTemplate(value, path, context)
}

function injectTemplate(object: Json, path: readonly string[], context: Collecting): Json {
  const { settings, ownNamespace, warnings, injected } = context
  const metadata = isMap(object['metadata']) ? object['metadata'] : {}
  const workload = String(metadata['name'] ?? metadata['generateName'] ?? '')
  const namespace = String(metadata['namespace'] ?? context.namespace)
  const name = `${String(object['kind'])} ${namespace}/${workload}`
  const pod = templateAt(object, path, name)
  const decision = decideInjection(pod, { namespace, namespaceLabels: ASKED, ownNamespace })
  if (decision.kind === 'refuse') warnings.push(`${name}: no sidecar: ${decision.reason}`)
  if (decision.kind !== 'inject') return object
  const result = injectPod(pod, { settings, workload })
  warnings.push(...result.warnings.map((warning) => `${name}: ${warning}`))
  injected.push(name)
  return replaceAt(object, path, result.pod)
}

function templateAt(object: Json, path: readonly string[], name: string): Pod {
  let value: unknown = object
  for (const step of path) value = isMap(value) ? value[step] : undefined
  try {
    return readPod(value)
  } catch (cause) {
    const place = path.length === 0 ? '' : `${path.join('.')}: `
    throw new Error(`${name}: ${place}${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

function replaceAt(object: Json, [step, ...rest]: readonly string[], value: Json): Json {
  if (step === undefined) return value
  const below = object[step]
  return { ...object, [step]: replaceAt(isMap(below) ? below : {}, rest, value) }
}

function isMap(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
