// The image of a real Jaeger, out of the program that ../shared/jaeger builds.
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { ROOT, SHARED, succeed } from './kubectl.ts'

const PROGRAM = join(process.env['WEFT_CACHE'] ?? '/var/cache/weft-test', 'bin/jaeger')
const IMAGE = 'mesh.local/jaeger:dev'

/** Into the cluster; returns its name. `scripts/setup e2e` builds the program. */
export async function loadJaeger(): Promise<string> {
  const root = join(ROOT, '.cache/images/jaeger')
  await rm(root, { recursive: true, force: true })
  await succeed(process.env['ROOTFS'] ?? join(SHARED, 'cluster/rootfs'), [root, PROGRAM])
  const load = process.env['LOAD_IMAGE'] ?? join(SHARED, 'cluster/load-image')
  await succeed(load, ['-e', JSON.stringify([PROGRAM]), '-u', '65532:65532', root, IMAGE])
  return IMAGE
}
