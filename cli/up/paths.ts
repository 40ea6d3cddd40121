// Where a mesh keeps its files while it runs; all but the certificate authority's state goes with `weft down`.
import { randomBytes } from 'node:crypto'
import { chmodSync, chownSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const RUN_DIRECTORY = '/run/weft'
export const STATE_DIRECTORY = '/var/lib/weft'

export interface MeshPaths {
  readonly root: string
  /** The authority's root key and certificate: kept, so that the mesh has the same root the next time. */
  readonly authority: string
  readonly state: string
  readonly world: string
  readonly mesh: string
  readonly applied: string
  readonly bundle: string
  readonly tokens: string
  readonly controlSocket: string
  readonly control: string
  readonly logs: string
  readonly pods: string
}

export function meshPaths(mesh: string, runDirectory = RUN_DIRECTORY, stateDirectory = STATE_DIRECTORY): MeshPaths {
  const root = join(runDirectory, mesh)
  return {
    root,
    authority: join(stateDirectory, mesh),
    state: join(root, 'state.json'),
    world: join(root, 'world.json'),
    mesh: join(root, 'mesh.yaml'),
    applied: join(root, 'applied.yaml'),
    bundle: join(root, 'bundle.pem'),
    tokens: join(root, 'tokens.json'),
    controlSocket: join(root, 'control.sock'),
    control: join(root, 'control'),
    logs: join(root, 'logs'),
    pods: join(root, 'pods'),
  }
}

/** Readers see the old text or the new one, never a part. */
export function writeAtomic(path: string, text: string, mode = 0o644): void {
  const draft = `${path}.${randomBytes(4).toString('hex')}.tmp`
  writeFileSync(draft, text, { mode })
  // The umask takes bits away from the mode of a new file.
  chmodSync(draft, mode)
  renameSync(draft, path)
}

/** A directory that only the sidecar's user (and root) may read. */
export function makePrivateDirectory(path: string, owner: number): void {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  chmodSync(path, 0o700)
  chownSync(path, owner, owner)
}

export function writePrivate(path: string, text: string, owner: number): void {
  writeFileSync(path, text, { mode: 0o600 })
  chmodSync(path, 0o600)
  chownSync(path, owner, owner)
}
