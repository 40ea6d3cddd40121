// One pod: its namespace, the redirection, the sidecar, then the application; its readiness while it lives; its drain at the end.
// The order is that of a Kubernetes pod with a native sidecar.
import { setTimeout as sleep } from 'node:timers/promises'
import { applyRedirect } from '#shared/pod/apply.ts'
import { Failure } from '../failure.ts'
import { call } from './http.ts'
import { lastLines } from './logs.ts'
import type { PodPlan } from './plan.ts'
import { createProber, type Prober } from './prober.ts'
import { KeptProcess, type ProcessSpec } from './processes.ts'

const FAST_POLL_MS = 100
/** An application without a probe counts as ready when it has not ended within this time. */
const STEADY_MS = 500
/** How long requests in flight may take before the application is told to end, which may finish them still. */
const DRAIN_TIMEOUT_MS = 5_000
/** Under this many ends before it is first ready an application counts as still starting: it may wait for another one. */
const ENDS_WHILE_STARTING = 5

export interface PodParts {
  readonly plan: PodPlan
  readonly application: ProcessSpec
  /** null: the pod is not meshed. */
  readonly sidecar: ProcessSpec | null
  readonly adminSocket: string
  /** Called when something that `weft status` or the world shows has changed. */
  readonly onChange: () => void
}

export class Pod {
  readonly plan: PodPlan
  readonly #parts: PodParts
  readonly #prober: Prober
  readonly #stopped = new AbortController()
  #sidecar: KeptProcess | null = null
  #application: KeptProcess | null = null
  #isReady = false
  #isTerminating = false
  #watching: Promise<unknown> = Promise.resolve()

  constructor(parts: PodParts) {
    this.plan = parts.plan
    this.#parts = parts
    this.#prober = createProber(parts.plan)
  }

  get ready(): boolean {
    return this.#isReady && !this.#isTerminating
  }

  get terminating(): boolean {
    return this.#isTerminating
  }

  get sidecar(): KeptProcess | null {
    return this.#sidecar
  }

  get application(): KeptProcess | null {
    return this.#application
  }

  /** Resolves when the sidecar serves. The namespace is there already. */
  async startSidecar(timeoutMs: number): Promise<void> {
    const { sidecar } = this.#parts
    if (sidecar === null) return
    await applyRedirect(this.plan.networkNamespace, this.plan.redirect)
    // Back within a second, always: without it the pod has no network.
    this.#sidecar = this.#keep(sidecar, { backoffMs: 100, backoffLimitMs: 800 })
    await this.#waitFor('sidecar', () => this.#isSidecarReady(), timeoutMs)
  }

  /** Resolves when the application is ready by its probe; from then on its readiness is watched. */
  async startApplication(timeoutMs: number): Promise<void> {
    this.#application = this.#keep(this.#parts.application, { backoffMs: 250, backoffLimitMs: 30_000 })
    await this.#waitFor('application', () => this.#isApplicationReady(), timeoutMs)
    this.#setReady(true)
    this.#watching = Promise.all([this.#watchReadiness(), this.#watchLiveness()])
  }

  /** From now on no new request should come; the caller writes the world after this. */
  markTerminating(): void {
    this.#isTerminating = true
    this.#stopped.abort()
  }

  /** Inbound finishes what is in flight while outbound works until the application has ended. */
  async stop(): Promise<void> {
    this.markTerminating()
    await this.#watching
    if (this.#sidecar !== null) {
      const { adminSocket: socketPath } = this.#parts
      // It answers when inbound is idle. One that does not answer has died, or holds connections that will not end by themselves.
      await call({ socketPath, path: '/drain', method: 'POST', timeoutMs: DRAIN_TIMEOUT_MS }).catch(() => undefined)
    }
    await this.#application?.stop(this.plan.graceMs)
    await this.#sidecar?.stop(5_000)
  }

  #keep(spec: ProcessSpec, backoff: { backoffMs: number; backoffLimitMs: number }): KeptProcess {
    const onChange = () => {
      // A part that has ended cannot serve, whatever the last probe said.
      if (this.#sidecar?.pid === null || this.#application?.pid === null) this.#isReady = false
      this.#parts.onChange()
    }
    return new KeptProcess(spec, { ...backoff, onChange })
  }

  async #waitFor(part: 'sidecar' | 'application', isReady: () => Promise<boolean>, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs
    const process = part === 'sidecar' ? this.#sidecar : this.#application
    while (!(await isReady())) {
      if (this.#stopped.signal.aborted) throw this.#stopped.signal.reason
      const ends = (process?.restarts ?? 0) + (process?.pid === null ? 1 : 0)
      if (ends >= ENDS_WHILE_STARTING) throw this.#failure(part, `ended ${ends} times (${describeEnd(process)})`)
      if (performance.now() > deadline)
        throw this.#failure(part, `is not ready after ${Math.round(timeoutMs / 1000)} s`)
      await sleep(FAST_POLL_MS, undefined, { signal: this.#stopped.signal }).catch(() => undefined)
    }
  }

  #failure(part: 'sidecar' | 'application', what: string): Failure {
    const process = part === 'sidecar' ? this.#sidecar : this.#application
    const lines = lastLines(process?.logFile ?? '', 10).map((line) => `  | ${line}`)
    const command = part === 'application' ? `: ${this.plan.command.join(' ')}` : ''
    const said = lines.length === 0 ? 'It wrote nothing.' : `Its last lines:\n${lines.join('\n')}`
    const probe = part === 'application' ? describeProbe(this.plan) : ''
    return new Failure(
      `${part} of pod ${this.plan.name} ${what}${command}${probe}\n${said}`,
      'Correct it and run weft up again.',
    )
  }

  async #watchReadiness(): Promise<void> {
    const { periodSeconds, failureThreshold } = this.plan.readiness ?? { periodSeconds: 1, failureThreshold: 1 }
    const { signal } = this.#stopped
    let failures = 0
    while (!signal.aborted) {
      // A pod that is not ready is asked often: it should serve again as soon as it can.
      await sleep(this.#isReady ? periodSeconds * 1000 : FAST_POLL_MS, undefined, { signal }).catch(() => undefined)
      if (signal.aborted) return
      const isReady = await this.#isApplicationReady()
      failures = isReady ? 0 : failures + 1
      if (isReady) this.#setReady(true)
      else if (failures >= failureThreshold) this.#setReady(false)
    }
  }

  /** An application that fails its probe so many times in a row is ended, and so started anew. */
  async #watchLiveness(): Promise<void> {
    const { liveness } = this.plan
    const { signal } = this.#stopped
    if (liveness === undefined) return
    let failures = 0
    while (!signal.aborted) {
      await sleep(liveness.periodSeconds * 1000, undefined, { signal }).catch(() => undefined)
      // While the sidecar is away nobody could ask.
      const isAsked = this.#application?.pid !== null && this.#sidecar?.pid !== null && !signal.aborted
      failures = isAsked && !(await this.#prober.succeeds('liveness')) ? failures + 1 : 0
      if (failures < liveness.failureThreshold || signal.aborted) continue
      failures = 0
      await this.#application?.replace(this.plan.graceMs)
    }
  }

  #setReady(isReady: boolean): void {
    if (this.#isReady === isReady) return
    this.#isReady = isReady
    this.#parts.onChange()
  }

  async #isSidecarReady(): Promise<boolean> {
    return this.#sidecar?.pid !== null && (await this.#prober.isSidecarReady())
  }

  async #isApplicationReady(): Promise<boolean> {
    if (this.#application === null || this.#application.pid === null) return false
    if (this.plan.readiness === undefined && this.#application.ageMs < STEADY_MS) return false
    return this.#prober.succeeds('readiness')
  }
}

export function describeEnd(process: KeptProcess | null): string {
  const exit = process?.lastExit
  if (exit === null || exit === undefined) return 'no end seen'
  return exit.signal ?? `exit ${exit.code}`
}

function describeProbe({ readiness }: PodPlan): string {
  if (readiness?.httpGet !== undefined) return `\nIts probe: GET :${readiness.httpGet.port}${readiness.httpGet.path}`
  if (readiness?.tcpSocket !== undefined) return `\nIts probe: a connection to port ${readiness.tcpSocket.port}`
  return ''
}
