// Reads a log file as it grows, and from its start again when it has been cut.
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

const LOOK_EVERY_MS = 200

/** Whole lines from an offset on, and the offset after them. A file that is not there is empty. */
export function readFrom(path: string, offset: number): { readonly lines: readonly string[]; readonly offset: number } {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return { lines: [], offset: 0 }
  }
  try {
    const { size } = fstatSync(file)
    const from = size < offset ? 0 : offset
    const bytes = Buffer.alloc(size - from)
    const count = readSync(file, bytes, 0, bytes.length, from)
    const end = bytes.subarray(0, count).lastIndexOf('\n')
    if (end < 0) return { lines: [], offset: from }
    return { lines: bytes.toString('utf8', 0, end).split('\n'), offset: from + end + 1 }
  } finally {
    closeSync(file)
  }
}

/** Hands over what is written from the offset on, until the signal. */
export async function follow(
  path: string,
  from: number,
  take: (lines: readonly string[]) => void,
  signal: AbortSignal,
): Promise<void> {
  let offset = from
  while (!signal.aborted) {
    await sleep(LOOK_EVERY_MS, undefined, { signal }).catch(() => undefined)
    const next = readFrom(path, offset)
    offset = next.offset
    if (next.lines.length > 0) take(next.lines)
  }
}
