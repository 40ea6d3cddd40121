// The bundles of the processes that `weft up` starts. In a checkout they are built first, which takes a moment when a source
// is newer; in an image they lie there.
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { HEAP_FLAGS } from '#shared/pod/heap.ts'
import { Failure, messageOf } from '../failure.ts'
import { run } from './system.ts'

/** Node alone starts for seconds on a machine where much else computes. */
const BUILD_LIMIT_MS = 120_000

export type Bundle = 'sidecar' | 'control' | 'certs'

/** The folder that holds package.json: above cli/ in a checkout, above dist/ in a bundle. */
export function installDirectory(): string {
  let directory = import.meta.dirname
  while (!existsSync(join(directory, 'package.json')) || directory.endsWith('/dist')) {
    const parent = dirname(directory)
    if (parent === directory) throw new Error(`no package.json above ${import.meta.dirname}`)
    directory = parent
  }
  return directory
}

/** Returns the command that runs each bundle. */
export async function prepareBundles(): Promise<(bundle: Bundle) => readonly string[]> {
  const directory = installDirectory()
  const script = join(directory, 'scripts', 'build.ts')
  if (existsSync(script)) {
    await run([process.execPath, script], '', BUILD_LIMIT_MS).catch((error: unknown) => {
      throw Failure.from(
        error,
        `the bundles cannot be built: ${messageOf(error)}`,
        'Run: scripts/setup, then scripts/with-node node scripts/build.ts',
      )
    })
  }
  return (bundle) => {
    const file = join(directory, 'dist', `${bundle}.js`)
    if (!existsSync(file)) throw new Failure(`${file} is missing`, 'Run: scripts/with-node node scripts/build.ts')
    return [process.execPath, ...(bundle === 'sidecar' ? HEAP_FLAGS : []), '--enable-source-maps', file]
  }
}
