// A mesh in network namespaces for a test, made by the same code as `weft up`. Needs root.
import type { ChildProcess, SpawnOptions } from 'node:child_process'
import { cpSync, existsSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFailed, onTestFinished } from 'vitest'
import { bringUp } from '../../cli/up/bring-up.ts'
import type { Output, Running } from '../../cli/up/running.ts'

export interface TestMesh extends AsyncDisposable {
  readonly name: string
  readonly running: Running
  /** What `weft up` would have shown. */
  readonly progress: readonly string[]
  /** Runs a command as the application of a pod would, to its end. */
  exec(pod: string, argv: readonly string[], options?: { input?: string; timeoutMs?: number }): Promise<Output>
  /** The same for a command that goes on; whoever calls ends it. */
  spawn(pod: string, argv: readonly string[], options?: SpawnOptions): ChildProcess
  /** The address of a pod. */
  addressOf(pod: string, family?: 4 | 6): string
  /** A virtual address of a service, named SERVICE or SERVICE.NAMESPACE. */
  virtualAddressOf(service: string, family?: 4 | 6): string
  /** Replaces the documents of the mesh, as an editor would. */
  configure(documents: string): void
  /** What a part has written: POD, POD.sidecar, certs or control. */
  log(part: string): string
}

export interface TestMeshOptions {
  /** A duration such as 60s. */
  readonly svidLifetime?: string
  readonly logLevel?: string
  readonly readyTimeoutMs?: number
  /** For a mesh that outlives a test, as in beforeAll: asked when it has gone, whether its logs stay. */
  readonly hasFailed?: () => boolean
}

let count = 0

/**
 * Documents without a Mesh: it gets a name that no other test has. Use it with `await using`. When the test fails its logs
 * stay in a folder that is told; with WEFT_KEEP_LOGS=1 always.
 */
export async function startMesh(documents: string, options: TestMeshOptions = {}): Promise<TestMesh> {
  const scratch = mkdtempSync(join(tmpdir(), 'weft-test-'))
  const progress: string[] = []
  const logs = createLogKeeper(scratch, options.hasFailed)
  try {
    const running = await bringUp({
      source: { text: withMesh(documents) },
      environment: process.env,
      workingDirectory: process.cwd(),
      stateDirectory: join(scratch, 'state'),
      report: (line) => progress.push(line),
      ...options,
    })
    return testMesh(running, progress, logs)
  } catch (error) {
    rmSync(scratch, { recursive: true, force: true })
    throw error
  }
}

function withMesh(documents: string): string {
  if (/^kind: Mesh$/m.test(documents)) return documents
  const name = `test-${process.pid}-${count++}`
  return `apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: ${name} }\n---\n${documents}`
}

function testMesh(running: Running, progress: readonly string[], logs: LogKeeper): TestMesh {
  const ofFamily = (addresses: readonly string[], family: 4 | 6) => {
    const found = addresses.find((address) => address.includes(':') === (family === 6))
    if (found === undefined) throw new Error(`no IPv${family} address in ${addresses.join(', ')}`)
    return found
  }
  return {
    name: running.name,
    running,
    progress,
    exec: (pod, argv, options) => running.exec(pod, argv, options),
    spawn: (pod, argv, options) => running.spawn(pod, argv, options),
    addressOf: (pod, family = 4) => ofFamily(running.pods.get(pod)?.plan.addresses ?? [], family),
    virtualAddressOf(name, family = 4) {
      const service = running.plan.services.find((each) => [each.name, `${each.name}.${each.namespace}`].includes(name))
      return ofFamily(service?.addresses ?? [], family)
    },
    configure(documents) {
      const { mesh: file } = running.paths
      writeFileSync(`${file}.new`, documents)
      renameSync(`${file}.new`, file)
    },
    log: (part) => readFileSync(join(running.paths.logs, `${part}.log`), 'utf8'),
    async [Symbol.asyncDispose]() {
      logs.keep(running.paths.logs)
      await running.down()
      logs.finish()
    },
  }
}

interface LogKeeper {
  /** Copies them: they go with the mesh, before it is known whether the test fails. */
  keep(from: string): void
  /** Removes the copy after a success, where no test tells of its end. */
  finish(): void
}

function createLogKeeper(scratch: string, hasFailedOutside: () => boolean = () => false): LogKeeper {
  const isKept = (process.env['WEFT_KEEP_LOGS'] ?? '') !== ''
  const settle = (hasFailed: boolean) => {
    if (hasFailed) console.error(`logs of the mesh: ${scratch}/logs`)
    else if (!isKept) rmSync(scratch, { recursive: true, force: true })
  }
  return {
    keep(from) {
      // A test may have taken its mesh down itself.
      if (existsSync(from)) cpSync(from, join(scratch, 'logs'), { recursive: true })
    },
    finish: settleWithTest(settle) ? () => undefined : () => settle(hasFailedOutside()),
  }
}

/** False outside of a test. */
function settleWithTest(settle: (hasFailed: boolean) => void): boolean {
  let hasFailed = false
  try {
    onTestFailed(() => {
      hasFailed = true
    })
    onTestFinished(() => settle(hasFailed))
    return true
  } catch {
    return false
  }
}
