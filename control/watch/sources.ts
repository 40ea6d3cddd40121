// The files that a configuration is made of: read together, and only when all of them held still meanwhile.
import { type FSWatcher, watch } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { basename, dirname } from 'node:path'

/** By path; null: the file does not exist. */
export type Texts = ReadonlyMap<string, string | null>

/** Undefined when a file changed during the reading. Throws what the file system throws, save that a file is absent. */
export async function readTogether(paths: readonly string[]): Promise<{ texts: Texts; stamp: string } | undefined> {
  const before = await stampOf(paths)
  const texts = new Map(await Promise.all(paths.map(async (path) => [path, await readIfThere(path)] as const)))
  const after = await stampOf(paths)
  return before === after ? { texts, stamp: after } : undefined
}

/** Changes when a file is written, replaced, made or removed. */
export async function stampOf(paths: readonly string[]): Promise<string> {
  const stamps = paths.map(async (path) => {
    const found = await orAbsent(stat(path, { bigint: true }))
    return found === null ? '-' : `${found.ino}.${found.size}.${found.mtimeNs}`
  })
  return (await Promise.all(stamps)).join(' ')
}

const readIfThere = (path: string) => orAbsent(readFile(path, 'utf8'))

async function orAbsent<T>(reading: Promise<T>): Promise<T | null> {
  try {
    return await reading
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return null
    throw error
  }
}

/**
 * Calls back when something happens to one of the files. It watches their folders, since a file that is replaced by a rename is
 * another file. Events may be lost (a folder made later, network file systems): whoever uses this also polls.
 */
export function watchFolders(paths: readonly string[], onEvent: () => void): () => void {
  const names = new Set(paths.map((path) => basename(path)))
  const watchers: FSWatcher[] = []
  for (const folder of new Set(paths.map((path) => dirname(path)))) {
    try {
      const watcher = watch(folder, { persistent: false }, (_, name) => {
        if (name === null || names.has(name)) onEvent()
      })
      watcher.on('error', () => watcher.close())
      watchers.push(watcher)
    } catch {
      // The folder is not there yet: polling sees the files when it is.
    }
  }
  return () => {
    for (const watcher of watchers) watcher.close()
  }
}
