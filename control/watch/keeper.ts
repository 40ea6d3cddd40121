// Holds the configuration in force: whole or not at all. While anything is wrong, the last good model stays.

import type { Log } from '#shared/log.ts'
import { type LoadResult, loadLayers } from '#shared/resources/load.ts'
import { formatProblem, type Problem } from '#shared/resources/problem.ts'
import { Watched } from '#shared/watch.ts'
import { type compile, describeFaults, type Model } from '../model/compile.ts'
import type { Texts } from './sources.ts'
import { parseWorld } from './world.ts'

export interface KeeperOptions {
  readonly configFiles: readonly string[]
  readonly worldFile: string
  readonly log: Log
  readonly compile: typeof compile
}

export class Keeper {
  readonly model = new Watched<Model | undefined>(undefined)
  readonly problems = new Watched<readonly Problem[]>([])
  readonly #configFiles: readonly string[]
  readonly #worldFile: string
  readonly #log: Log
  readonly #compile: typeof compile
  #taken = ''
  #loaded: { readonly key: string; readonly result: LoadResult } | undefined

  constructor({ configFiles, worldFile, log, compile: compileIt }: KeeperOptions) {
    this.#configFiles = configFiles
    this.#worldFile = worldFile
    this.#log = log
    this.#compile = compileIt
  }

  take(texts: Texts): void {
    const key = JSON.stringify([...texts])
    if (key === this.#taken) return
    const { documents, problems } = this.#load(texts)
    const json = texts.get(this.#worldFile) ?? null
    // No world yet is no mistake: `weft up` writes it when the addresses are known.
    const parsed = json === null ? null : parseWorld(json)
    const found = parsed !== null && 'found' in parsed ? [...problems, worldProblem(this.#worldFile, parsed)] : problems
    this.#report(found)
    if (found.length === 0 && parsed !== null && 'world' in parsed) this.#apply(this.#compile(documents, parsed.world))
    this.#taken = key
  }

  /** The files cannot be read at all. */
  refuse(error: unknown): void {
    this.#taken = ''
    const said = error instanceof Error ? error.message : String(error)
    const problem = { file: this.#configFiles.join(', '), line: 0, column: 0, object: null, path: '' }
    this.#report([{ ...problem, found: `files that cannot be taken (${said})`, want: 'readable files' }])
  }

  /** A change of the world alone, which is the usual one, does not check the documents again. */
  #load(texts: Texts): LoadResult {
    const files = this.#configFiles.map((path) => ({ path, text: texts.get(path) ?? '' }))
    const key = JSON.stringify(files)
    if (this.#loaded?.key !== key) this.#loaded = { key, result: loadLayers(files) }
    return this.#loaded.result
  }

  #apply(next: Model): void {
    const before = new Set(describeFaults(this.model.current?.statuses ?? []))
    for (const fault of describeFaults(next.statuses)) if (!before.has(fault)) this.#log.warn({ fault }, fault)
    this.model.set(next)
  }

  #report(found: readonly Problem[]): void {
    const before = this.problems.current.map(formatProblem).join('\n')
    if (before === found.map(formatProblem).join('\n')) return
    for (const problem of found) this.#log.error({ problem }, `refused: ${formatProblem(problem)}`)
    if (found.length === 0) this.#log.info('the configuration is right again')
    else if (this.model.current !== undefined) this.#log.warn('the last good configuration stays in force')
    this.problems.set(found)
  }
}

function worldProblem(file: string, mistake: { readonly path: string; readonly found: string }): Problem {
  return { file, line: 0, column: 0, object: null, ...mistake, want: 'the state of a mesh as `weft up` writes it' }
}
