// Plants violations in a copy of this project's configuration, so that a gate that stops checking is noticed.
import { execFile } from 'node:child_process'
import { cp, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'

export const ROOT = join(import.meta.dirname, '../..')

export interface Outcome {
  readonly exitCode: number
  readonly output: string
}

export interface Planted extends AsyncDisposable {
  readonly folder: string
  /** Runs a tool of node_modules/.bin in the planted project. */
  run(tool: string, ...args: string[]): Promise<Outcome>
}

/** A project with our configuration and these files; removed at the end. */
export async function plant(files: Readonly<Record<string, string>>): Promise<Planted> {
  const folder = await mkdtemp(join(tmpdir(), 'weft-plant-'))
  for (const name of ['package.json', 'tsconfig.json', 'biome.json', 'knip.json', 'vitest.config.ts', '.gitignore']) {
    await cp(join(ROOT, name), join(folder, name))
  }
  await symlink(join(ROOT, 'node_modules'), join(folder, 'node_modules'))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true })
    await writeFile(join(folder, path), text)
  }
  return {
    folder,
    run: (tool, ...args) => run(join(ROOT, 'node_modules/.bin', tool), args, folder),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  }
}

/** Runs a program to its end, with this very Node first in PATH; any exit code is an outcome. */
export function run(file: string, args: readonly string[], cwd: string): Promise<Outcome> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}`, NO_COLOR: '1' }
  return new Promise((resolve, reject) => {
    execFile(file, args, { cwd, env, maxBuffer: 1 << 26 }, (error, stdout, stderr) => {
      if (error !== null && typeof error.code !== 'number') return reject(error)
      resolve({ exitCode: error === null ? 0 : Number(error.code), output: stdout + stderr })
    })
  })
}
