// Prints what an image holds, as CycloneDX: the packages that bundles are made of (package-lock.json, none of development)
// and Debian packages: those that the files of a folder are of, or all that are installed where this runs.
//   node scripts/sbom.ts weft-sidecar [--root FOLDER | --installed]
import { execFileSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseArgs } from 'node:util'

const ROOT = join(import.meta.dirname, '..')
const { values: options, positionals } = parseArgs({
  options: { root: { type: 'string' }, installed: { type: 'boolean' } },
  allowPositionals: true,
})
const [image] = positionals
if (image === undefined) throw new Error('which image? node scripts/sbom.ts weft-sidecar [--root FOLDER | --installed]')
/** The shop has no packages but its Node. */
const isBundled = image !== 'weft-demo'

interface Locked {
  readonly version: string
  readonly dev?: boolean
  readonly license?: string
  readonly integrity?: string
  readonly cpu?: readonly string[]
}

interface Component {
  readonly type: 'library'
  readonly name: string
  readonly version: string
  readonly purl: string
  readonly licenses?: readonly { readonly expression: string }[]
  readonly hashes?: readonly { readonly alg: 'SHA-512'; readonly content: string }[]
}

const lock = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
  readonly version: string
  readonly packages: Readonly<Record<string, Locked>>
}

function npmComponents(): readonly Component[] {
  return Object.entries(lock.packages)
    .filter(([path, { dev, cpu }]) => path !== '' && dev !== true && (cpu === undefined || cpu.includes(process.arch)))
    .filter(([path]) => isBundled || path.startsWith('node_modules/node-linux-'))
    .map(([path, { version, license, integrity }]) => {
      const name = path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)
      const hash = /^sha512-(.+)$/.exec(integrity ?? '')?.[1]
      return {
        type: 'library' as const,
        name,
        version,
        purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
        ...(license !== undefined && { licenses: [{ expression: license }] }),
        ...(hash !== undefined && {
          hashes: [{ alg: 'SHA-512' as const, content: Buffer.from(hash, 'base64').toString('hex') }],
        }),
      }
    })
}

/** By asking this machine's dpkg whose the files are: scripts/images takes them from here. */
function debianComponents(root: string): readonly Component[] {
  const files = globSync('**/*', { cwd: root, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length))
    .filter((path) => !path.startsWith('/weft/') && path !== '/usr/bin/node')
  // dpkg knows some files by the path before /lib became a link to /usr/lib.
  const candidates = files.flatMap((path) => [path, path.replace(/^\/usr/, ''), `/usr${path}`])
  const owners = new Set(
    run('dpkg', ['-S', ...candidates]).flatMap((line) => /^([^:, ]+)(?::\w+)?: /.exec(line)?.[1] ?? []),
  )
  return owners.size === 0 ? [] : installedComponents([...owners])
}

/** Of these packages; of all where none is named. */
function installedComponents(names: readonly string[]): readonly Component[] {
  const format = ['Package', 'Version', 'Architecture'].map((field) => `\${${field}}`).join(' ')
  return run('dpkg-query', ['-W', '-f', `${format}\n`, ...names]).flatMap((line) => {
    const [name, version, architecture] = line.split(' ')
    if (name === undefined || version === undefined) return []
    const purl = `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}`
    return [{ type: 'library' as const, name, version, purl }]
  })
}

/** Lines of its output; dpkg fails where one of many paths is nobody's. */
function run(command: string, parameters: readonly string[]): readonly string[] {
  try {
    return execFileSync(command, parameters, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })
      .trim()
      .split('\n')
  } catch (error) {
    const { stdout } = error as { readonly stdout?: unknown }
    if (typeof stdout === 'string') return stdout.trim().split('\n')
    throw error
  }
}

function fromDebian(): readonly Component[] {
  if (options.installed === true) return installedComponents([])
  return options.root === undefined ? [] : debianComponents(options.root)
}

const components = [...npmComponents(), ...fromDebian()]
const bom = {
  bomFormat: 'CycloneDX',
  specVersion: '1.6',
  version: 1,
  metadata: { component: { type: 'container', name: image, version: lock.version } },
  components: components.toSorted((one, other) => (one.purl < other.purl ? -1 : 1)),
}
process.stdout.write(`${JSON.stringify(bom, null, 2)}\n`)
