// What the tests of foreign programs share: the programs themselves, room for their data, one mesh for a whole file, and what
// the sidecars say of it: who talked with whom, and how much memory it took.
import { execFileSync } from 'node:child_process'
import { accessSync, chownSync, constants, globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, beforeEach, expect, onTestFailed } from 'vitest'
import { meshPolicy } from '../../support/documents.ts'
import { startMesh, type TestMesh } from '../../support/mesh.ts'

/** Debian's `nobody`: servers that refuse to be root run as this. */
export const NOBODY = 65534

/** Where a program is, looked for where Debian puts it; fails with the package that has it. */
export function programOf(name: string, debianPackage: string): string {
  const found = ['/usr/bin', '/usr/sbin', '/bin', '/sbin', '/usr/local/bin', '/usr/lib/postgresql/*/bin']
    .flatMap((directory) => globSync(join(directory, name)).toSorted())
    .findLast(isExecutable)
  if (found === undefined)
    throw new Error(`${name} is not on this machine: apt-get install -y ${debianPackage} (or scripts/setup test)`)
  return found
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

const scratches: string[] = []

/** A new directory of that user, removed when the tests of the file are over. */
export function scratchDirectory(purpose: string, owner = NOBODY): string {
  const directory = mkdtempSync(join(tmpdir(), `weft-${purpose}-`))
  scratches.push(directory)
  chownSync(directory, owner, owner)
  return directory
}

/** One mesh for all tests of a file, with access logs; called at the top of it. */
export function meshForFile(documents: () => string): () => TestMesh {
  let mesh: TestMesh | undefined
  let hasFailed = false
  beforeAll(async () => {
    const access = meshPolicy('log', { accessLog: { enabled: true } })
    mesh = await startMesh(access + documents(), { hasFailed: () => hasFailed })
  })
  beforeEach(() => {
    onTestFailed(() => {
      hasFailed = true
    })
  })
  afterAll(async () => {
    await mesh?.[Symbol.asyncDispose]()
    for (const directory of scratches.splice(0)) rmSync(directory, { recursive: true, force: true })
  })
  return () => {
    if (mesh === undefined) throw new Error('the mesh is not up')
    return mesh
  }
}

/** What a command in a pod has written; throws when it failed. */
export async function run(
  mesh: TestMesh,
  pod: string,
  argv: readonly string[],
  options: { input?: string; timeoutMs?: number } = {},
): Promise<string> {
  const { code, stdout, stderr } = await mesh.exec(pod, argv, options)
  if (code !== 0) throw new Error(`${argv.join(' ')} in ${pod} ended with ${code}: ${stderr}${stdout.slice(-2000)}`)
  return stdout
}

/** What ended of one kind, from the access log. */
export interface Seen {
  readonly kind: 'connection' | 'request'
  readonly direction: 'inbound' | 'outbound'
  readonly protocol: string
  readonly src: string
  readonly dst: string
  readonly line: Readonly<Record<string, unknown>>
}

/** What the sidecar of a pod has logged with the port of the application as its destination. */
export function seenBy(mesh: TestMesh, pod: string, port: number): readonly Seen[] {
  return mesh
    .log(`${pod}.sidecar`)
    .split('\n')
    .filter((line) => line.includes('"weft.direction"') && line.includes(`:${port}"`))
    .flatMap((text) => {
      const line = parsed(text)
      if (line === undefined || !`${line['weft.destination']}`.endsWith(`:${port}`)) return []
      const text_ = (name: string) => `${line[name] ?? ''}`
      return {
        kind: text_('msg') as Seen['kind'],
        direction: text_('weft.direction') as Seen['direction'],
        protocol: text_('network.protocol.name'),
        src: text_('src'),
        dst: text_('dst'),
        line,
      }
    })
}

/** A line that is being written may be cut. */
function parsed(text: string): Record<string, unknown> | undefined {
  try {
    return JSON.parse(text) as Record<string, unknown>
  } catch {
    return undefined
  }
}

export interface Way {
  readonly client: string
  readonly server: string
  readonly port: number
  readonly kind: Seen['kind']
  /** What the client's sidecar found a connection to speak; the server's relays what is no HTTP/1.1 without a look. */
  readonly protocol?: string
  readonly atLeast?: number
}

/** That both sidecars carried it, each with the identities of both ends. Lines come when things end, so it waits a moment. */
export async function expectBothSidecars(mesh: TestMesh, way: Way): Promise<void> {
  const { client, server, port, kind, protocol, atLeast = 1 } = way
  const ends = { src: identityOf(mesh, client), dst: identityOf(mesh, server) }
  for (const [pod, direction] of [
    [client, 'outbound'],
    [server, 'inbound'],
  ] as const) {
    const matching = () =>
      seenBy(mesh, pod, port).filter(
        (seen) =>
          seen.direction === direction &&
          seen.kind === kind &&
          seen.src === ends.src &&
          seen.dst === ends.dst &&
          (protocol === undefined || direction === 'inbound' || seen.protocol === protocol),
      )
    const hint = () => `${pod} saw of port ${port}: ${JSON.stringify(seenBy(mesh, pod, port).slice(-3))}`
    await expect.poll(() => matching().length, { timeout: 30_000, message: hint() }).toBeGreaterThanOrEqual(atLeast)
  }
}

function identityOf(mesh: TestMesh, pod: string): string {
  const identity = mesh.running.pods.get(pod)?.plan.identity
  if (identity === undefined) throw new Error(`no pod ${pod}`)
  return identity
}

export interface Memory {
  /** Resident now, and the most that it ever was: MiB. */
  readonly residentMiB: number
  readonly peakMiB: number
  /** Without file pages, which processes share. */
  readonly anonymousMiB: number
}

export function memoryOf(mesh: TestMesh, pod: string): Memory {
  const status = readFileSync(`/proc/${sidecarPid(mesh, pod)}/status`, 'utf8')
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB$`, 'm').exec(status)?.[1]) / 1024
  return { residentMiB: field('VmRSS'), peakMiB: field('VmHWM'), anonymousMiB: field('RssAnon') }
}

/** Begins anew with what `peakMiB` tells. */
export function resetPeak(mesh: TestMesh, pod: string): void {
  writeFileSync(`/proc/${sidecarPid(mesh, pod)}/clear_refs`, '5')
}

/** CPU seconds that the sidecar has used, of all its threads. */
export function cpuSecondsOf(mesh: TestMesh, pod: string): number {
  const stat = readFileSync(`/proc/${sidecarPid(mesh, pod)}/stat`, 'utf8')
  // utime and stime, counted behind the name in parentheses; in ticks of 10 ms (USER_HZ is 100 on Linux).
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function sidecarPid(mesh: TestMesh, pod: string): number {
  const pid = mesh.running.pods.get(pod)?.sidecar?.pid
  if (pid === null || pid === undefined) throw new Error(`the sidecar of ${pod} does not run`)
  return pid
}

/** A command of the test itself, outside of the pods. */
export function local(program: string, ...argv: readonly string[]): string {
  return execFileSync(program, argv, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] })
}

/** A certificate of an application, which the mesh knows nothing of: files that NOBODY may read. */
export function selfSigned(directory: string, name: string): { certificate: string; key: string; pem: string } {
  const [certificate, key] = [join(directory, `${name}.pem`), join(directory, `${name}.key`)]
  const subject = ['-subj', `/CN=${name}`, '-addext', `subjectAltName=DNS:${name}`, '-days', '2']
  const curve = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', key, '-out', certificate]
  local(programOf('openssl', 'openssl'), 'req', '-x509', ...subject, ...curve)
  for (const file of [certificate, key]) chownSync(file, NOBODY, NOBODY)
  return { certificate, key, pem: readFileSync(certificate, 'utf8') }
}
