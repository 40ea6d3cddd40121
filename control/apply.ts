// `weft apply`: lays documents over the configuration in force, all of them or none, after the same checks that files go through.
import { chmod, readFile, rename, writeFile } from 'node:fs/promises'
import { parseAllDocuments } from 'yaml'
import { type Loaded, loadDocuments, loadLayers, type SourceFile } from '#shared/resources/load.ts'
import type { Problem } from '#shared/resources/problem.ts'
import type { Watch } from '#shared/watch.ts'
import { compile, describeFaults, type Model } from './model/compile.ts'
import { type PlanLine, plan } from './model/plan.ts'

export interface ConfigStoreOptions {
  /** The last is where applied documents are written. */
  readonly configFiles: readonly string[]
  readonly model: Watch<Model | undefined>
  /** Resolves when what the files say is in force. */
  refresh(): Promise<void>
}

export type ApplyResult =
  | { readonly problems: readonly Problem[] }
  | {
      readonly plan: readonly PlanLine[]
      /** What will not take effect although it is well formed: a route to a service that does not exist. */
      readonly faults: readonly string[]
    }

export interface ConfigStore {
  /** `file` is what problems call the text. Undefined: there is no configuration yet that it could be laid over. */
  apply(source: SourceFile, isDryRun: boolean): Promise<ApplyResult | undefined>
}

export function createConfigStore({ configFiles, model, refresh }: ConfigStoreOptions): ConfigStore {
  const target = configFiles.at(-1)
  if (target === undefined) throw new Error('WEFT_CONFIG_FILES names no file')
  let last: Promise<unknown> = Promise.resolve()
  const apply = async (source: SourceFile, isDryRun: boolean): Promise<ApplyResult | undefined> => {
    // Files may have changed a moment ago, and the plan is a difference to what they say.
    await refresh()
    const before = model.current
    if (before === undefined) return undefined
    const { documents, problems } = loadDocuments([source])
    const refused = [...problems, ...documents.flatMap((document) => refuse(document, before))]
    if (refused.length > 0) return { problems: refused }
    const under = await Promise.all(configFiles.slice(0, -1).map(readSource))
    const merged = { path: target, text: layOver((await readSource(target)).text, source.text) }
    const whole = loadLayers([...under, merged])
    if (whole.problems.length > 0) return { problems: whole.problems }
    const after = compile(whole.documents, before.world)
    const result = { plan: plan(before, after), faults: newFaults(before, after) }
    if (isDryRun) return result
    await replaceFile(target, merged.text)
    await refresh()
    return result
  }
  return {
    apply(source, isDryRun) {
      // One after the other: each is laid over what the one before has written.
      const next = last.then(() => apply(source, isDryRun))
      last = next.catch(() => undefined)
      return next
    },
  }
}

function refuse({ resource, name, file, line }: Loaded, model: Model): Problem[] {
  const problem = { file, line, column: 1, object: name, path: 'kind' }
  const way = 'change mesh.yaml, then `weft down` and `weft up`, which make the namespaces and addresses'
  if (resource.kind === 'Mesh' || resource.kind === 'Workload') {
    return [
      { ...problem, found: `a ${resource.kind}`, want: `routes, policies or Services that exist; for this: ${way}` },
    ]
  }
  if (resource.kind !== 'Service' || model.documents.some((known) => known.name === name)) return []
  return [{ ...problem, found: 'a new Service', want: `one that has its address already; for this: ${way}` }]
}

function newFaults(before: Model, after: Model): readonly string[] {
  const known = new Set(describeFaults(before.statuses))
  return describeFaults(after.statuses).filter((fault) => !known.has(fault))
}

/** Documents of the same kind and name are replaced, others stay; comments within a document stay with it. */
export function layOver(under: string, over: string): string {
  const documents = new Map<string, string>()
  for (const text of [under, over]) {
    for (const document of parseAllDocuments(text)) {
      if (document.contents === null) continue
      documents.set(nameOf(document.toJS()), document.toString({ directives: false }).trimEnd())
    }
  }
  return documents.size === 0 ? '' : `${[...documents.values()].join('\n---\n')}\n`
}

/** The texts have passed their checks by now, save that what lies in the file may be of another hand. */
function nameOf(value: unknown): string {
  const { kind, metadata } = value as { kind?: string; metadata?: { namespace?: string; name?: string } }
  return `${kind} ${metadata?.namespace ?? 'default'}/${metadata?.name}`
}

async function readSource(path: string): Promise<SourceFile> {
  try {
    return { path, text: await readFile(path, 'utf8') }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { path, text: '' }
    throw error
  }
}

async function replaceFile(path: string, text: string): Promise<void> {
  const draft = `${path}.new`
  await writeFile(draft, text, { mode: 0o600 })
  await chmod(draft, 0o600)
  await rename(draft, path)
}
