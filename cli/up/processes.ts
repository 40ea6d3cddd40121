// Processes that are kept alive: started anew when they die, stopped in order, their output in a file. Each leads its own
// session, so that Ctrl-C reaches the supervisor only and a stop reaches all that the process started.
import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

export interface ProcessSpec {
  readonly argv: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly logFile: string
}

export interface Exit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly at: number
  /** Milliseconds that it ran. */
  readonly ranMs: number
}

export interface KeepOptions {
  /** The first wait before a new start; doubles with each short life. */
  readonly backoffMs: number
  readonly backoffLimitMs: number
  /** Called on each start and each end. */
  readonly onChange: () => void
}

/** A life this long clears the backoff. */
const LONG_LIFE_MS = 10_000

export class KeptProcess {
  readonly #spec: ProcessSpec
  readonly #options: KeepOptions
  #child: ChildProcess | null = null
  #timer: NodeJS.Timeout | undefined
  #delayMs: number
  #isStopping = false
  #starts = 0
  #startedAt = 0
  #lastExit: Exit | null = null
  #ended: Promise<void> = Promise.resolve()

  constructor(spec: ProcessSpec, options: KeepOptions) {
    this.#spec = spec
    this.#options = options
    this.#delayMs = options.backoffMs
    this.#start()
  }

  /** null while it does not run. */
  get pid(): number | null {
    return this.#child?.pid ?? null
  }

  /** Milliseconds since this life began; 0 while it does not run. */
  get ageMs(): number {
    return this.#child === null ? 0 : performance.now() - this.#startedAt
  }

  get restarts(): number {
    return this.#starts - 1
  }

  get lastExit(): Exit | null {
    return this.#lastExit
  }

  get logFile(): string {
    return this.#spec.logFile
  }

  /** Ends this life as stop() does; a new one begins as after any death. */
  async replace(graceMs: number): Promise<void> {
    const pid = this.#child?.pid
    if (pid === undefined) return
    signalGroup(pid, 'SIGTERM')
    const timer = setTimeout(() => signalGroup(pid, 'SIGKILL'), graceMs)
    await this.#ended
    clearTimeout(timer)
    // What the process started and left behind in its session.
    signalGroup(pid, 'SIGKILL')
  }

  /** SIGTERM, then SIGKILL for what is left after the grace; resolves when it is gone. It never starts again. */
  async stop(graceMs: number): Promise<void> {
    this.#isStopping = true
    clearTimeout(this.#timer)
    await this.replace(graceMs)
  }

  #start(): void {
    const { argv, env, cwd, logFile } = this.#spec
    const [program = '', ...rest] = argv
    const log = openSync(logFile, 'a', 0o640)
    const startedAt = performance.now()
    this.#startedAt = startedAt
    this.#starts++
    const child = spawn(program, rest, { cwd, env: { ...env }, detached: true, stdio: ['ignore', log, log] })
    closeSync(log)
    this.#child = child
    this.#ended = new Promise((resolve) => {
      const end = (code: number | null, signal: NodeJS.Signals | null) => {
        if (this.#child !== child) return
        this.#child = null
        this.#lastExit = { code, signal, at: Date.now(), ranMs: performance.now() - startedAt }
        this.#schedule(this.#lastExit.ranMs)
        resolve()
        this.#options.onChange()
      }
      child.once('exit', end)
      child.once('error', () => end(127, null))
    })
    this.#options.onChange()
  }

  #schedule(ranMs: number): void {
    if (this.#isStopping) return
    if (ranMs >= LONG_LIFE_MS) this.#delayMs = this.#options.backoffMs
    this.#timer = setTimeout(() => this.#start(), this.#delayMs)
    this.#delayMs = Math.min(this.#delayMs * 2, this.#options.backoffLimitMs)
  }
}

function signalGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal)
  } catch {
    // Gone already.
  }
}
