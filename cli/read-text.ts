// Reads a file that a person named: what is wrong with it is told in words, not in the system's codes.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { Failure, messageOf } from './failure.ts'

const WORDS: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a directory',
  EACCES: 'this user may not read it',
}

/** Throws a Failure that names the file as it was given, and where that leads. */
export function readText(file: string, directory: string, wayOut: string): string {
  const path = resolve(directory, file)
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    const place = path === file ? file : `${file} (${path})`
    throw Failure.from(error, `${place} cannot be read: ${WORDS[code] ?? messageOf(error)}`, wayOut)
  }
}
