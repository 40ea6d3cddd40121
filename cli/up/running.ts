// A mesh that is up: its processes and pods, what is told of them (world.json, state.json), and its orderly end.
import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { asUser, inNamespace } from './commands.ts'
import { applicationEnvironment, type Environment } from './environment.ts'
import { rotateLogs } from './logs.ts'
import { type MeshPaths, writeAtomic } from './paths.ts'
import type { MeshPlan } from './plan.ts'
import { describeEnd, type Pod } from './pod.ts'
import type { KeptProcess } from './processes.ts'
import { type MeshState, type PodState, type ProcessState, withLock, writeState } from './state.ts'
import { sweep } from './teardown.ts'
import { worldOf } from './world.ts'

const ROTATE_EVERY_MS = 5_000

export interface RunningParts {
  readonly plan: MeshPlan
  readonly paths: MeshPaths
  readonly runDirectory: string
  readonly base: Environment
  /** Where relative paths of commands begin. */
  readonly workingDirectory: string
  readonly state: MeshState
}

export interface Output {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

export class Running {
  readonly plan: MeshPlan
  readonly paths: MeshPaths
  readonly #parts: RunningParts
  readonly #pods = new Map<string, Pod>()
  /** In the order of their start. */
  readonly #system = new Map<string, KeptProcess>()
  readonly #rotation: NodeJS.Timeout
  #phase: MeshState['phase'] = 'starting'
  #ending: Promise<void> | null = null
  #isPublishing = false

  constructor(parts: RunningParts) {
    this.plan = parts.plan
    this.paths = parts.paths
    this.#parts = parts
    this.#rotation = setInterval(() => rotateLogs(parts.paths.logs), ROTATE_EVERY_MS)
    this.#rotation.unref()
  }

  get name(): string {
    return this.plan.name
  }

  get pods(): ReadonlyMap<string, Pod> {
    return this.#pods
  }

  /** What `weft status` reads. */
  get state(): MeshState {
    return {
      ...this.#parts.state,
      phase: this.#phase,
      system: [...this.#system].map(([name, process]) => ({ name, ...processState(process) })),
      pods: [...this.#pods.values()].map((pod) => this.#podState(pod)),
    }
  }

  addPod(pod: Pod): void {
    this.#pods.set(pod.plan.name, pod)
  }

  addSystem(name: string, process: KeptProcess): void {
    this.#system.set(name, process)
  }

  /** Undefined where the mesh has no sidecars. */
  system(name: 'certs' | 'control'): KeptProcess | undefined {
    return this.#system.get(name)
  }

  markUp(): void {
    this.#phase = 'up'
    this.publish()
  }

  /** Writes world.json and state.json soon, once for all changes of this turn. */
  readonly publishSoon = (): void => {
    if (this.#isPublishing) return
    this.#isPublishing = true
    setImmediate(() => {
      this.#isPublishing = false
      if (this.#ending === null) this.publish()
    })
  }

  publish(): void {
    const world = worldOf(this.plan, (name) => {
      const pod = this.#pods.get(name)
      return { ready: pod?.ready ?? false, terminating: pod?.terminating ?? false }
    })
    writeAtomic(this.paths.world, `${JSON.stringify(world, null, 2)}\n`)
    writeState(this.state, this.#parts.runDirectory)
  }

  /** Starts a command as the application of the pod would: its network, names, user and environment. */
  spawn(podName: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const pod = this.#pods.get(podName)
    if (pod === undefined) throw new Error(`no pod ${podName} in mesh ${this.name}`)
    const { networkNamespace, user, workingDirectory } = pod.plan
    const [program = '', ...rest] = inNamespace(networkNamespace, asUser(user, argv))
    const cwd = resolve(this.#parts.workingDirectory, workingDirectory ?? '.')
    return spawn(program, rest, { cwd, env: { ...applicationEnvironment(this.#parts.base, pod.plan) }, ...options })
  }

  /** Runs a command in the pod to its end. */
  exec(
    podName: string,
    argv: readonly string[],
    options: { input?: string; timeoutMs?: number } = {},
  ): Promise<Output> {
    const child = this.spawn(podName, argv, { stdio: 'pipe', timeout: options.timeoutMs ?? 60_000 })
    return new Promise((done, reject) => {
      const output = { stdout: '', stderr: '' }
      for (const name of ['stdout', 'stderr'] as const) {
        child[name]?.setEncoding('utf8').on('data', (text: string) => {
          output[name] += text
        })
      }
      child.once('error', reject)
      child.once('close', (code) => done({ code, ...output }))
      child.stdin?.on('error', () => undefined)
      child.stdin?.end(options.input ?? '')
    })
  }

  /** Drains and ends everything, then removes it from the machine. A second call waits for the first. */
  down(report: (line: string) => void = () => undefined): Promise<void> {
    this.#ending ??= this.#end(report)
    return this.#ending
  }

  async #end(report: (line: string) => void): Promise<void> {
    this.#phase = 'stopping'
    clearInterval(this.#rotation)
    const pods = [...this.#pods.values()]
    for (const pod of pods) pod.markTerminating()
    this.publish()
    await Promise.all(pods.map((pod) => pod.stop()))
    if (pods.length > 0) report(`${pods.length} ${pods.length === 1 ? 'pod' : 'pods'} drained and ended`)
    for (const process of [...this.#system.values()].toReversed()) await process.stop(5_000)
    await withLock(this.#parts.runDirectory, () => sweep(this.name, this.#parts.runDirectory))
    report('network removed')
  }

  #podState(pod: Pod): PodState {
    const { name, namespace, workload, identity, addresses, networkNamespace, isMeshed, user } = pod.plan
    return {
      name,
      namespace,
      workload,
      identity,
      addresses,
      networkNamespace,
      isMeshed,
      ready: pod.ready,
      terminating: pod.terminating,
      application: processState(pod.application),
      sidecar: isMeshed ? processState(pod.sidecar) : null,
      services: this.plan.services.filter((service) => service.pods.includes(name)).map((service) => service.name),
      env: applicationEnvironment(this.#parts.base, pod.plan),
      workingDirectory: resolve(this.#parts.workingDirectory, pod.plan.workingDirectory ?? '.'),
      user: { uid: user.uid ?? null, gid: user.gid ?? null },
    }
  }
}

function processState(process: KeptProcess | null): ProcessState {
  return {
    pid: process?.pid ?? null,
    restarts: process?.restarts ?? 0,
    lastEnd: process?.lastExit == null ? null : describeEnd(process),
  }
}
