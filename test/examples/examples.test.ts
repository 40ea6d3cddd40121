// Every example can be brought up as it is: its documents have no mistakes, nothing in them points at what is not there, and the
// commands in its comments name the files and the mesh that they are about.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { planMesh } from '../../cli/up/plan.ts'
import { chooseRanges } from '../../cli/up/ranges.ts'
import { worldOf } from '../../cli/up/world.ts'
import { compile, describeFaults } from '../../control/model/compile.ts'
import { loadDocuments, loadLayers, type SourceFile } from '../../shared/resources/load.ts'
import { formatProblem } from '../../shared/resources/problem.ts'

const ROOT = join(import.meta.dirname, '../..')
const read = (path: string) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') })
const MESHES = globSync('examples/*/mesh.yaml', { cwd: ROOT })

/** Of a mesh, with another file applied over it. */
function mistakesOf(...files: readonly SourceFile[]): readonly string[] {
  const { documents, problems } = loadLayers(files)
  if (problems.length > 0) return problems.map(formatProblem)
  const plan = planMesh(documents, chooseRanges({ podCIDRs: [], serviceCIDRs: [] }, []))
  const empty = plan.services.filter(({ pods }) => pods.length === 0).map(({ name }) => `Service ${name} has no pods`)
  const world = worldOf(plan, () => ({ ready: true, terminating: false }))
  return [...empty, ...describeFaults(compile(documents, world).statuses)]
}

/** What a cluster reads, checked by the tests of what it is an example of. */
const FOR_A_CLUSTER = ['examples/inject', 'examples/kubernetes']

test('each YAML under examples/ is a mesh, is applied to the mesh beside it, or is for a cluster', () => {
  expect(MESHES.length).toBeGreaterThanOrEqual(4)
  const folders = new Set(globSync('examples/**/*.yaml', { cwd: ROOT }).map(dirname))
  for (const folder of FOR_A_CLUSTER) folders.delete(folder)
  expect([...folders].sort()).toEqual(MESHES.map(dirname).sort())
})

describe.each(MESHES)('%s', (mesh) => {
  const others = globSync('*.yaml', { cwd: join(ROOT, dirname(mesh)) }).filter((name) => name !== 'mesh.yaml')

  test('has no mistake and no name that leads nowhere, nor has what is applied to it', () => {
    expect(mistakesOf(read(mesh))).toEqual([])
    for (const name of others) expect(mistakesOf(read(mesh), read(join(dirname(mesh), name))), name).toEqual([])
  })

  test('is brought up and shown by the commands in its comment', () => {
    const { documents } = loadDocuments([read(mesh)])
    const name = documents.find(({ resource }) => resource.kind === 'Mesh')?.resource.metadata.name
    const commands = [...read(mesh).text.matchAll(/bin\/weft (?<command>.*)/g)].map(
      (found) => found.groups?.['command'] ?? '',
    )
    expect(commands.join('\n')).toContain(`up ${mesh}`)
    for (const command of commands) {
      for (const [path] of command.matchAll(/examples\/[\w./-]+/g))
        expect(existsSync(join(ROOT, path)), path).toBe(true)
      if (!command.startsWith('up ')) expect(command).toMatch(new RegExp(`^down ${name}|--mesh ${name} `))
    }
  })
})

test('a route that leads nowhere, a service without pods and an unknown field would be noticed', () => {
  const { path, text } = read('examples/canary/mesh.yaml')
  const mistakes = (from: string, to: string) => mistakesOf({ path, text: text.replace(from, to) }).join()
  expect(mistakes('name: hello-v2, port', 'name: gone, port')).toContain('there is no Service shop/gone')
  expect(mistakes('version: v2 } }', 'version: v3 } }')).toContain('Service hello-v2 has no pods')
  expect(mistakes('selector:', 'selecter:')).toContain('found an unknown field; want "selector"')
})
