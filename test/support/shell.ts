// One shell in which commands run one after the other, as in a terminal: what one sets, the next one has.
import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'

export interface Ran {
  /** null: it was still running when its time was over, and the shell with it. */
  readonly status: number | null
  /** Both streams, as a terminal shows them. */
  readonly output: string
}

export interface Shell extends AsyncDisposable {
  /** A command that fails ends the shell, also in the middle of several. */
  run(command: string): Promise<Ran>
}

export interface ShellOptions {
  readonly cwd: string
  readonly env: NodeJS.ProcessEnv
  readonly timeoutMs: number
}

export function openShell({ cwd, env, timeoutMs }: ShellOptions): Shell {
  // A group of its own, so that what runs in the background goes too.
  const child = spawn('bash', ['--norc', '-s'], { cwd, env, detached: true, stdio: 'pipe' })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  let failure: Error | null = null
  const mark = randomBytes(16).toString('hex')
  let output = ''
  let notice = () => {}
  const keep = (chunk: string) => {
    output += chunk
    notice()
  }
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', keep)
  // One that has ended is known by its status.
  child.stdin.on('error', () => {})
  child.once('exit', () => notice())
  child.once('error', (error) => {
    failure = error
    notice()
  })
  child.stdin.write('exec 2>&1; set -eo pipefail\n')
  const end = () => {
    if (child.pid !== undefined && child.exitCode === null && child.signalCode === null)
      process.kill(-child.pid, 'SIGKILL')
  }
  return {
    async run(command) {
      output = ''
      child.stdin.write(`eval ${quote(command)} </dev/null; echo "${mark} $?"\n`)
      const timer = setTimeout(end, timeoutMs)
      const done = () =>
        output.includes(mark) || child.exitCode !== null || child.signalCode !== null || failure !== null
      while (!done()) await new Promise<void>((resolve) => (notice = resolve))
      clearTimeout(timer)
      if (failure !== null) throw new Error('there is no shell', { cause: failure })
      return { status: output.includes(mark) ? 0 : child.exitCode, output: output.split(mark)[0] ?? '' }
    },
    async [Symbol.asyncDispose]() {
      child.stdin.end()
      // Also when the shell itself has ended: its children have not.
      if (child.pid !== undefined) killGroup(child.pid)
      await closed
    },
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // Nobody is left.
  }
}

const quote = (text: string) => `'${text.replaceAll("'", "'\\''")}'`
