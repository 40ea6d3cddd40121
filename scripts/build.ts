// Bundles the processes into dist/: one file each, so that a sidecar starts fast and needs no node_modules. Does nothing when
// no source has changed since the last build; `--force` builds anyway. Two builds at once do no harm: files are renamed in.
import { createHash, randomBytes } from 'node:crypto'
import { cpSync, existsSync, globSync, mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { isBuiltin } from 'node:module'
import { basename, join } from 'node:path'
import { build } from 'esbuild'
import { BUNDLE } from './bundle.ts'

const ROOT = join(import.meta.dirname, '..')
const DIST = join(ROOT, 'dist')
const STAMP = join(DIST, '.built')
const SOURCES = ['{sidecar,control,certs,injector,cli,shared}/**/*.{ts,proto}', 'scripts/build.ts', 'package-lock.json']
const ENTRIES = {
  sidecar: 'sidecar/main.ts',
  control: 'control/main.ts',
  certs: 'certs/main.ts',
  injector: 'injector/main.ts',
  init: 'injector/init/main.ts',
  drain: 'injector/drain/main.ts',
  weft: 'cli/main.ts',
}

async function main(): Promise<void> {
  const print = fingerprint()
  if (!process.argv.includes('--force') && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === print) return
  const startedAt = performance.now()
  mkdirSync(join(DIST, 'contract'), { recursive: true })
  const entries = Object.entries(ENTRIES).filter(([, entry]) => existsSync(join(ROOT, entry)))
  const sizes = await Promise.all(entries.map(([name, entry]) => bundle(name, entry)))
  for (const proto of globSync(join(ROOT, 'shared/contract/*.proto'))) {
    put(join(DIST, 'contract', basename(proto)), readFileSync(proto))
  }
  copyKoffi()
  // The command line says its version from here in an image.
  const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { readonly version: string }
  put(join(DIST, 'package.json'), `${JSON.stringify({ type: 'module', version })}\n`)
  put(STAMP, print)
  console.log(`${sizes.join(', ')} in ${Math.round(performance.now() - startedAt)} ms`)
}

async function bundle(name: string, entry: string): Promise<string> {
  const result = await build({ ...BUNDLE, absWorkingDir: ROOT, entryPoints: [entry], write: false })
  const output = result.outputFiles[0]
  if (output === undefined) throw new Error(`esbuild gave nothing for ${entry}`)
  checkWhole(name, output.text)
  put(join(DIST, `${name}.js`), output.contents)
  return `${name}.js ${Math.ceil(output.contents.length / 1024)} kB`
}

/** A package that is asked for at run time would be a second copy in a checkout and missing in an image. */
function checkWhole(name: string, text: string): void {
  const asked = [...text.matchAll(/__require\d*\("([^"]+)"\)/g)].map(([, module = '']) => module)
  const foreign = [...new Set(asked)].filter((module) => !isBuiltin(module))
  if (foreign.length > 0) throw new Error(`${name}.js is not whole, it asks for ${foreign.join(', ')}: see ALIAS`)
}

/** koffi asks for its native part by the name of a package at run time; the package is looked up from the bundle on. */
function copyKoffi(): void {
  for (const directory of globSync(join(ROOT, 'node_modules/@koromix/koffi-linux-*'))) {
    const target = join(DIST, 'node_modules/@koromix', basename(directory))
    const binaries = (from: string) => globSync(join(from, '*/koffi.node')).map((file) => statSync(file).size)
    if (`${binaries(directory)}` === `${binaries(target)}`) continue
    cpSync(directory, target, { recursive: true })
  }
}

/** Of names, sizes and times of all sources, so that a removed or older file counts as a change too. */
function fingerprint(): string {
  const files = SOURCES.flatMap((pattern) => globSync(pattern, { cwd: ROOT })).filter(
    (file) => !file.endsWith('.test.ts'),
  )
  const lines = files.toSorted().map((file) => {
    const { size, mtimeMs } = statSync(join(ROOT, file))
    return `${file} ${size} ${mtimeMs}`
  })
  return createHash('sha256').update(lines.join('\n')).digest('hex')
}

function put(path: string, content: string | Uint8Array): void {
  const draft = `${path}.${randomBytes(4).toString('hex')}`
  writeFileSync(draft, content)
  renameSync(draft, path)
}

await main()
