import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { helmTemplate, tool } from './helm.ts'
import { locationIn, writeSchemas } from './schemas.ts'

const VERSIONS = ['v1.32.10', 'v1.33.6', 'v1.34.4']
let folder: string
let printed: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-schemas-'))
  for (const version of VERSIONS) await writeSchemas(join(folder, version), version)
  const policy = ['--set', 'mesh.policy.mtls.mode=Permissive']
  const presets = ['minimal', 'ha', 'demo'].map((name) =>
    helmTemplate('weft', '-f', `charts/weft/values-${name}.yaml`, ...policy),
  )
  printed = [helmTemplate('weft-crds'), ...presets].join('')
})
afterAll(() => rm(folder, { recursive: true, force: true }))

function kubeconform(version: string, manifests: string): { readonly status: number; readonly complaints: string[] } {
  const location = locationIn(join(folder, version))
  const { status, stdout } = tool(
    'kubeconform',
    ['-strict', '-output', 'json', '-schema-location', location],
    manifests,
  )
  const { resources } = JSON.parse(stdout) as { readonly resources: readonly { kind: string; msg: string }[] }
  return { status, complaints: resources.map(({ kind, msg }) => `${kind}: ${msg}`) }
}

test.each(VERSIONS)('every object of every preset is what Kubernetes %s has a schema for', (version) => {
  expect(kubeconform(version, printed)).toEqual({ status: 0, complaints: [] })
})

test.each([
  ['revisionHistoryLimit: 3', 'revisionHistoryLimits: 3', 'Deployment'],
  ['terminationGracePeriodSeconds: 30', 'terminationGracePeriodSeconds: soon', 'Deployment'],
  ['"mode":"Permissive"', '"mode":"Lenient"', 'MeshPolicy'],
  ['"mtls":{"mode"', '"mtls":{"modes"', 'MeshPolicy'],
])('in place of %s, %s of a %s is refused', (right, wrong, kind) => {
  const { status, complaints } = kubeconform('v1.34.4', printed.replace(right, wrong))
  expect(status).not.toBe(0)
  expect(complaints).toEqual([expect.stringContaining(`${kind}: `)])
})
