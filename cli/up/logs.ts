// Log files of bounded size. Processes append to an open file, so it is copied and cut, not renamed: a few lines may be
// lost at that moment, and no supervisor has to stand between a process and its log.
import { copyFileSync, readdirSync, readFileSync, statSync, truncateSync } from 'node:fs'
import { join } from 'node:path'

const LIMIT_BYTES = 10 * 1024 * 1024

/** Moves each log above the limit to NAME.log.1, of which there is one. */
export function rotateLogs(directory: string, limitBytes = LIMIT_BYTES): void {
  for (const name of readdirSync(directory)) {
    const path = join(directory, name)
    if (!name.endsWith('.log') || statSync(path).size <= limitBytes) continue
    copyFileSync(path, `${path}.1`)
    truncateSync(path)
  }
}

/** The last lines of a log, for an error message; empty when there is none. */
export function lastLines(path: string, count: number): string[] {
  try {
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    return lines.slice(-count).filter((line) => line !== '')
  } catch {
    return []
  }
}
