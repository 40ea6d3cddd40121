// Brings a mesh up: `weft up` and the integration tests both call this. Read bringUp from top to bottom; each step is a file of
// its own.
import { writeFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { type Loaded, loadDocuments } from '#shared/resources/load.ts'
import { formatProblem } from '#shared/resources/problem.ts'
import { Failure } from '../failure.ts'
import { readText } from '../read-text.ts'
import { prepareBundles } from './bundles.ts'
import { claimMesh } from './claim.ts'
import { baseEnvironment } from './environment.ts'
import { RUN_DIRECTORY, STATE_DIRECTORY } from './paths.ts'
import { meshOf } from './plan.ts'
import { checkCommands, checkLifetime, checkMachine } from './requirements.ts'
import { Running } from './running.ts'
import { settle } from './settle.ts'
import { start } from './start.ts'

export interface UpOptions {
  /** Path of the documents, read now and watched by control from then on; or their text. */
  readonly source: { readonly file: string } | { readonly text: string }
  /** The environment that PATH, HOME and the language are taken from. */
  readonly environment: NodeJS.ProcessEnv
  /** Where relative paths begin: of the documents, and of the commands in them. */
  readonly workingDirectory: string
  readonly runDirectory?: string
  readonly stateDirectory?: string
  /** A duration such as 60s. */
  readonly svidLifetime?: string
  readonly logLevel?: string
  /** True for `weft up`: `weft down` may end this process. */
  readonly isCommand?: boolean
  readonly readyTimeoutMs?: number
  /** Called with a line for each step that is done. */
  readonly report?: (line: string) => void
  /** Aborted while it comes up: what is there is taken down again. */
  readonly signal?: AbortSignal
}

/** Rejects with a Failure that says what to do; nothing is left on the machine then. */
export async function bringUp(options: UpOptions): Promise<Running> {
  const { environment, workingDirectory, report = () => undefined } = options
  const { runDirectory = RUN_DIRECTORY, stateDirectory = STATE_DIRECTORY } = options
  checkMachine('up', environment['PATH'] ?? '')
  checkLifetime(options.svidLifetime)
  const source = readSource(options)
  const documents = readDocuments(source)
  const base = baseEnvironment(meshOf(documents).name, environment)
  const commandOf = await prepareBundles()
  const claim = await claimMesh(documents, {
    file: source.path,
    runDirectory,
    stateDirectory,
    isCommand: options.isCommand ?? false,
    report,
    check: (plan) => checkCommands(plan, workingDirectory, base['PATH'] ?? ''),
  })
  const running = new Running({ ...claim, runDirectory, base, workingDirectory })
  const { signal = new AbortController().signal, readyTimeoutMs = 60_000 } = options
  try {
    report(`network: pods ${claim.state.ranges.slice(0, claim.state.gateways.length).join(', ')}`)
    const configFile = 'file' in options.source ? source.path : running.paths.mesh
    if ('text' in options.source) writeFileSync(configFile, source.text)
    const settings = { svidLifetime: options.svidLifetime ?? '24h', logLevel: options.logLevel ?? 'info' }
    await start(running, { base, settings, commandOf, workingDirectory, configFile, readyTimeoutMs, report, signal })
    running.markUp()
    await settle(running, signal)
    return running
  } catch (error) {
    await running.down()
    throw signal.aborted ? Failure.from(error, 'interrupted while coming up', 'Everything is taken down again.') : error
  }
}

function readSource({ source, workingDirectory }: UpOptions): { path: string; text: string } {
  if ('text' in source) return { path: 'mesh.yaml', text: source.text }
  const text = readText(source.file, workingDirectory, 'Say which file: weft up mesh.yaml')
  return { path: resolve(workingDirectory, source.file), text }
}

function readDocuments(source: { path: string; text: string }): readonly Loaded[] {
  const { documents, problems } = loadDocuments([source])
  if (problems.length > 0) {
    const count = problems.length === 1 ? 'one mistake' : `${problems.length} mistakes`
    throw new Failure(
      `${count} in ${source.path}:\n${problems.map(formatProblem).join('\n')}`,
      'Correct and try again.',
    )
  }
  if (documents.some(({ resource }) => resource.kind === 'Workload')) return documents
  throw new Failure(`${source.path} has no Workload`, 'Add a Workload: docs/standalone.md shows one.')
}
