// Runs bin/weft as a person would.
import { type ChildProcess, spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Output } from '../../cli/up/running.ts'

const ROOT = join(import.meta.dirname, '../..')
const WEFT = join(ROOT, 'bin/weft')

/** To its end. */
export function weft(
  argv: readonly string[],
  options: { as?: readonly string[]; input?: string } = {},
): Promise<Output> {
  const [program = '', ...rest] = [...(options.as ?? []), WEFT, ...argv]
  const child = spawn(program, rest, { cwd: ROOT, stdio: 'pipe' })
  const output = { stdout: '', stderr: '' }
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text
  })
  child.stdin.end(options.input ?? '')
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve({ code, ...output }))
  })
}

/** A `weft up` in the foreground, once it says that the mesh is up. */
export async function weftUp(file: string): Promise<ChildProcess> {
  const child = spawn(WEFT, ['up', file], { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text
        if (said.includes(' is up: ')) resolve()
      })
    }
    child.once('exit', (code) => reject(new Error(`weft up ended with ${code}: ${said}`)))
  })
  return child
}
