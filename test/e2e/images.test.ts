// The Dockerfile, built with buildah on a base of Debian's packages, since no registry is within reach. Needs root.
import { execFile, execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, test } from 'vitest'

const ROOT = join(import.meta.dirname, '../..')
const BASE = 'localhost/debian:bookworm-slim'
const USERS = { 'weft-sidecar': '1337:1337', 'weft-control': '65532:65532', 'weft-demo': '1000:1000' }
const IMAGES = Object.keys(USERS) as (keyof typeof USERS)[]

let folder: string
let environment: NodeJS.ProcessEnv
let sizes: string
const mounted = new Map<string, string>()

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'weft-images-'))
  const storage = { driver: 'overlay', graphroot: join(folder, 'graph'), runroot: join(folder, 'run') }
  const lines = Object.entries(storage).map(([name, value]) => `${name} = "${value}"`)
  await writeFile(join(folder, 'storage.conf'), `[storage]\n${lines.join('\n')}\n`)
  environment = {
    ...process.env,
    BUILDER: 'buildah',
    BUILDAH_ISOLATION: 'chroot',
    CONTAINERS_STORAGE_CONF: join(folder, 'storage.conf'),
  }
  await run('scripts/debian-base', BASE)
  sizes = await run('scripts/images', '--docker', '--base', BASE, '--registry', 'localhost', '--tag', 'test')
  for (const image of IMAGES) {
    const container = (await run('buildah', 'from', `localhost/${image}:test`)).trim()
    mounted.set(image, (await run('buildah', 'mount', container)).trim())
  }
})
afterAll(async () => {
  // Its layers are mounts.
  await run('buildah', 'umount', '--all').finally(() => rm(folder, { recursive: true, force: true }))
})

async function run(program: string, ...parameters: readonly string[]): Promise<string> {
  const options = { cwd: ROOT, env: environment, maxBuffer: 64 * 1024 * 1024 }
  return (await promisify(execFile)(program, parameters, options)).stdout
}

const rootOf = (image: string) => mounted.get(image) ?? ''

/** As a container of the image in a network of its own; `user` as in the image unless told. */
function runIn(image: keyof typeof USERS, script: string, user = USERS[image], env: Record<string, string> = {}) {
  const inside = ['chroot', `--userspec=${user}`, rootOf(image), ...script.split(' ')]
  const settings = Object.entries(env).map(([name, value]) => `${name}=${value}`)
  const parameters = ['--net', '--mount', 'env', '-i', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', ...settings, ...inside]
  return promisify(execFile)('unshare', parameters).then(
    ({ stdout, stderr }) => ({ code: 0, output: `${stdout}${stderr}` }),
    ({ code, stdout, stderr }: { code: number; stdout: string; stderr: string }) => ({
      code,
      output: `${stdout}${stderr}`,
    }),
  )
}

interface Inspected {
  readonly OCIv1: {
    readonly config: Readonly<Record<'User' | 'Labels' | 'Entrypoint' | 'Cmd' | 'WorkingDir', unknown>>
  }
}
async function configOf(image: string): Promise<Inspected['OCIv1']['config']> {
  const text = await run('buildah', 'inspect', '--type', 'image', `localhost/${image}:test`)
  return (JSON.parse(text) as Inspected).OCIv1.config
}

test.each(IMAGES)('%s runs as a number that is not root, and its labels say what it is of', async (image) => {
  const { version } = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as { version: string }
  expect(await configOf(image)).toMatchObject({
    User: USERS[image],
    Labels: {
      'org.opencontainers.image.title': image,
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': execFileSync('git', ['rev-parse', 'HEAD'], { encoding: 'utf8' }).trim(),
      'org.opencontainers.image.licenses': 'Apache-2.0',
    },
  })
})

test('the sidecar image says its size, which is below 90 MB compressed', () => {
  expect(Number(/^weft-sidecar: ([\d.]+) MB compressed$/m.exec(sizes)?.[1])).toBeLessThan(90)
})

test.each(IMAGES)('the SBOM of %s names every Debian package that is in it, and its Node', async (image) => {
  const directory = String((await configOf(image)).WorkingDir)
  const bom = JSON.parse(await readFile(join(rootOf(image), directory, 'sbom.json'), 'utf8')) as {
    readonly bomFormat: string
    readonly components: readonly { readonly purl: string; readonly version: string }[]
  }
  expect(bom.bomFormat).toBe('CycloneDX')
  const named = bom.components.map(({ purl }) => /^pkg:deb\/debian\/([^@]+)@/.exec(purl)?.[1]).filter(Boolean)
  const status = await readFile(join(rootOf(image), 'var/lib/dpkg/status'), 'utf8')
  const installed = [...status.matchAll(/^Package: (\S+)$/gm)].map(([, name]) => name)
  expect(named.toSorted()).toEqual(installed.toSorted())
  const { code, output } = await runIn(image, 'node --version')
  expect(code).toBe(0)
  const node = bom.components.find(({ purl }) => purl.startsWith('pkg:npm/node-linux-'))
  expect(`v${node?.version}`).toBe(output.trim())
})

test('the SBOM names every package that the bundles are made of', async () => {
  const lock = JSON.parse(await readFile(join(ROOT, 'package.json'), 'utf8')) as {
    readonly dependencies: Readonly<Record<string, string>>
  }
  const bom = await readFile(join(rootOf('weft-control'), 'weft/sbom.json'), 'utf8')
  for (const [name, version] of Object.entries(lock.dependencies)) {
    if (name.startsWith('node-linux-') && !bom.includes(name)) continue // of another processor
    expect(bom).toContain(`pkg:npm/${name.replace('@', '%40')}@${version}`)
  }
})

test('the init container of the image redirects the pod, with no shell in it', async () => {
  for (const shell of ['bin/sh', 'bin/bash', 'bin/dash', 'usr/bin/sh', 'usr/bin/bash', 'usr/bin/dash']) {
    await rm(join(rootOf('weft-sidecar'), shell), { force: true })
  }
  const { code, output } = await runIn('weft-sidecar', 'node /weft/init.js', '0:0')
  expect(output).toContain('all TCP of this pod goes through its sidecar')
  expect(code).toBe(0)
})

test.each([
  ['weft-sidecar', '/weft/sidecar.js'],
  ['weft-control', '/weft/control.js'],
  ['weft-control', '/weft/certs.js'],
  ['weft-control', '/weft/injector.js'],
] as const)('%s starts %s as its user, and it names the settings that are wrong', async (image, script) => {
  expect(existsSync(join(rootOf(image), script))).toBe(true)
  const { code, output } = await runIn(image, `node ${script}`, USERS[image], { WEFT_LOG_LEVEL: 'loud' })
  expect(code).not.toBe(0)
  expect(output).toContain('WEFT_LOG_LEVEL=loud')
})

test('the command line of weft-control prints the manifests of an installation', async () => {
  const { code, output } = await runIn('weft-control', 'node /weft/weft.js install --preset minimal')
  expect(code).toBe(0)
  expect(output).toContain('kind: MutatingWebhookConfiguration')
})
