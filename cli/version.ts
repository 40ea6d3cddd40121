// The version of what is installed, as its package.json says.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installDirectory } from './up/bundles.ts'

export function readVersion(): string {
  const manifest = JSON.parse(readFileSync(join(installDirectory(), 'package.json'), 'utf8')) as { version: string }
  return manifest.version
}
