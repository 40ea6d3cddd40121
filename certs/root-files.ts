// The root of a mesh on one machine: two files, made at the first start, kept, and checked at each start so that a broken one is told by name.
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Authority, makeRoot, readAuthority } from './authority.ts'

export interface RootFilesOptions {
  readonly stateDir: string
  readonly trustDomain: string
  /** Now, milliseconds since 1970. */
  readonly wallMs: number
}

/** Throws an Error for people when what is kept cannot be used; it never replaces a root by itself. */
export async function openAuthority(options: RootFilesOptions): Promise<Authority> {
  const keyFile = join(options.stateDir, 'root.key')
  const rootFile = join(options.stateDir, 'root.pem')
  mkdirSync(options.stateDir, { recursive: true, mode: 0o700 })
  if (!existsSync(keyFile) && !existsSync(rootFile)) {
    const { root, key } = await makeRoot(options)
    writeWhole(rootFile, root, 0o644)
    writeWhole(keyFile, key, 0o600)
  }
  for (const file of [keyFile, rootFile]) {
    if (!existsSync(file)) throw new Error(`${file} is missing while its partner is there: restore it, or remove both`)
  }
  const mode = statSync(keyFile).mode & 0o777
  if ((mode & 0o077) !== 0) {
    throw new Error(`${keyFile} has the mode ${mode.toString(8)}, others could read it: chmod 600 ${keyFile}`)
  }
  const roots = readFileSync(rootFile, 'utf8')
  const wayOut = 'remove it and root.key to make a new root'
  const names = { chain: rootFile, key: keyFile, roots: rootFile, wayOut }
  return readAuthority({ chain: roots, key: readFileSync(keyFile, 'utf8'), roots, names }, options)
}

/** Readers see the old file or the new one, never a part. */
export function writeWhole(file: string, content: string | Buffer, mode: number): void {
  const draft = `${file}.draft`
  rmSync(draft, { force: true })
  writeFileSync(draft, content, { mode, flag: 'wx' })
  // The mode given above is less the umask.
  chmodSync(draft, mode)
  renameSync(draft, file)
}
