// A planted violation for the gates other than Biome's lint: format, types, dead code, generated pages, shell syntax.
import { execFileSync } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { plant, ROOT, run } from './plant.ts'

const LAYERS = `import { Path } from './layer.ts'
interface Secured { readonly peer: string }
interface Detected extends Secured { readonly protocol: string }
const detect = (next: (input: Detected) => Promise<void>) => (input: Secured) => next({ ...input, protocol: 'h2' })
const authorize = (next: (input: Detected) => Promise<void>) => (input: Detected) => next(input)
export const path = Path.from<Secured, void>().through(authorize).through(detect)
`

test('Biome refuses a file that is not formatted', async () => {
  await using planted = await plant({ 'shared/ugly.ts': 'export const a = "b";\n' })
  const { exitCode, output } = await planted.run('biome', 'ci', '--colors=off', '--error-on-warnings', '.')
  expect(output).toContain('shared/ugly.ts format')
  expect(exitCode).not.toBe(0)
})

test.each([
  ['a layer before the one that finds its fact', 'layers', LAYERS, 'TS2345'],
  ['an element that may not be there', 'index', 'export const length = (list: string[]) => list[0].length\n', 'TS2532'],
  [
    'undefined where a property is only optional',
    'exact',
    'export const a: { b?: string } = { b: undefined }\n',
    'TS2375',
  ],
  ['an enum, which Node cannot strip', 'enum', 'export enum Color {\n  Red,\n}\n', 'TS1294'],
  ['an unused local', 'local', 'export function a() {\n  const b = 1\n}\n', 'TS6133'],
  ['a path that returns nothing', 'returns', 'export function a(b: boolean) {\n  if (b) return 1\n}\n', 'TS7030'],
  ['an import of a file that is not there', 'absent', "import './nowhere.ts'\n", 'TS2882'],
  [
    'a type imported as a value',
    'verbatim',
    "import { DuplexOptions } from 'node:stream'\nexport type A = DuplexOptions\n",
    'TS1484',
  ],
])('tsc refuses %s', async (_, name, text, code) => {
  await using planted = await plant({ [`sidecar/flow/${name}.ts`]: text })
  copyFileSync(join(ROOT, 'sidecar/flow/layer.ts'), join(planted.folder, 'sidecar/flow/layer.ts'))
  const { exitCode, output } = await planted.run('tsc', '-p', '.')
  expect(output).toMatch(new RegExp(`sidecar/flow/${name}\\.ts.*${code}`))
  expect(exitCode).not.toBe(0)
})

test('knip refuses an unused file, an unused export and an unused package', async () => {
  await using planted = await plant({
    'sidecar/main.ts': "import { used } from '#shared/own.ts'\nused()\n",
    'shared/own.ts': 'export const used = () => 1\nexport const unused = () => 2\n',
    'shared/forgotten.ts': 'export const a = 1\n',
  })
  const { exitCode, output } = await planted.run('knip', '--reporter=json')
  expect(output).toContain('"unused"')
  expect(output).toContain('shared/forgotten.ts')
  expect(output).toContain('"opossum"')
  expect(output).not.toContain('"used"')
  expect(exitCode).not.toBe(0)
})

test('a generated page that is out of date is refused, and named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-docs-'))
  try {
    const script = join(ROOT, 'scripts/docs.ts')
    execFileSync(process.execPath, [script, '--into', folder])
    expect((await run(process.execPath, [script, '--check', '--into', folder], ROOT)).exitCode).toBe(0)
    writeFileSync(join(folder, 'errors.md'), '# Errors\n')
    const { exitCode, output } = await run(process.execPath, [script, '--check', '--into', folder], ROOT)
    expect(output).toContain('errors.md')
    expect(exitCode).toBe(1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('a shell script that does not parse is refused, and named', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-shell-'))
  try {
    mkdirSync(join(folder, 'scripts'))
    writeFileSync(join(folder, 'scripts/good'), '#!/usr/bin/env bash\necho\n')
    expect((await run(join(ROOT, 'scripts/check-shell'), [folder], ROOT)).exitCode).toBe(0)
    writeFileSync(join(folder, 'scripts/broken'), '#!/usr/bin/env bash\nif true; then\n')
    const { exitCode, output } = await run(join(ROOT, 'scripts/check-shell'), [folder], ROOT)
    expect(output).toContain('scripts/broken')
    expect(exitCode).toBe(1)
  } finally {
    rmSync(folder, { recursive: true })
  }
})
