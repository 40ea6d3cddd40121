// weft apply: hands documents to control, which puts all of them in force or none; shows what changes and for whom.
import { readFileSync } from 'node:fs'
import { formatProblem } from '#shared/resources/problem.ts'
import type { Context } from '../context.ts'
import { controlApi } from '../control-api.ts'
import { Failure } from '../failure.ts'
import { findMesh } from '../find-mesh.ts'
import { readText } from '../read-text.ts'
import { paintError } from '../terminal.ts'

export interface ApplyFlags {
  readonly filename: string
  readonly dryRun?: boolean
  readonly output?: string
  readonly mesh?: string
}

export async function apply(context: Context, flags: ApplyFlags): Promise<void> {
  const { terminal, runDirectory } = context
  const source = readSource(context, flags.filename)
  const isDryRun = flags.dryRun === true
  const mesh = findMesh(flags.mesh, runDirectory)
  const result = await controlApi(mesh, runDirectory).apply(source, isDryRun)
  if ('problems' in result) {
    throw new Failure(result.problems.map(formatProblem).join('\n'), 'Nothing was changed. Correct and apply again.')
  }
  if (flags.output === 'json') return terminal.out(JSON.stringify({ isDryRun, ...result }, null, 2))
  for (const { change, object, affects } of result.plan) {
    terminal.out(`${object} ${change}${isDryRun ? ' (dry run)' : ''}`)
    for (const sentence of affects.length === 0 ? ['no sidecar'] : affects) terminal.out(`  affects ${sentence}`)
  }
  if (result.plan.length === 0) terminal.out('nothing changes')
  for (const fault of result.faults) terminal.error(`${paintError(terminal, 'without effect:')} ${fault}`)
}

function readSource({ workingDirectory }: Context, file: string): { file: string; text: string } {
  if (file === '-') return { file: 'standard input', text: readFileSync(0, 'utf8') }
  return { file, text: readText(file, workingDirectory, 'Say which file: weft apply -f FILE') }
}
