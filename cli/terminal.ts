// What people see: colour only on a terminal that wants it, tables, and errors with their way out.
import { Failure } from './failure.ts'

export interface Terminal {
  readonly isColoured: boolean
  /** Of what `error` writes: either may be a file while the other is a terminal. */
  readonly isErrorColoured: boolean
  out(text: string): void
  error(text: string): void
}

export type Tone = 'good' | 'bad' | 'dim' | 'bold'
const CODES: Readonly<Record<Tone, number>> = { good: 32, bad: 31, dim: 2, bold: 1 }

export function createTerminal(environment: NodeJS.ProcessEnv): Terminal {
  const isPlain = (environment['NO_COLOR'] ?? '') !== '' || environment['TERM'] === 'dumb'
  // The terminal may be gone before the mesh is down.
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined)
  return {
    isColoured: process.stdout.isTTY === true && !isPlain,
    isErrorColoured: process.stderr.isTTY === true && !isPlain,
    out: (text) => void process.stdout.write(`${text}\n`),
    error: (text) => void process.stderr.write(`${text}\n`),
  }
}

export function paint({ isColoured }: { isColoured: boolean }, tone: Tone, text: string): string {
  return isColoured ? `\u001b[${CODES[tone]}m${text}\u001b[0m` : text
}

/** The start of a line that `error` writes. */
export function paintError({ isErrorColoured }: Terminal, text: string): string {
  return paint({ isColoured: isErrorColoured }, 'bad', text)
}

/** Columns as wide as their widest cell; the last one is not padded. */
export function formatTable(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows)
    for (const [index, cell] of row.entries()) widths[index] = Math.max(widths[index] ?? 0, cell.length)
  const line = (row: readonly string[]) =>
    row
      .map((cell, index) => cell.padEnd(widths[index] ?? 0))
      .join('  ')
      .trimEnd()
  return rows.map(line).join('\n')
}

/** A Failure is told with its way out; anything else is a mistake of ours and shows its stack. */
export function tellError(terminal: Terminal, error: unknown): void {
  if (error instanceof Failure) {
    terminal.error(`${paintError(terminal, 'weft:')} ${error.message}`)
    terminal.error(error.wayOut)
  } else terminal.error(error instanceof Error ? (error.stack ?? error.message) : String(error))
}
