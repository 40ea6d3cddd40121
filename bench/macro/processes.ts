// Processes of a benchmark: started, waited for, measured by the kernel's own account of them, and never left behind.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

/** USER_HZ; Linux fixes it at 100 for /proc. */
const TICKS_PER_SECOND = 100
const START_LIMIT_MS = 15_000

export interface Running {
  readonly pid: number
  /** CPU time of all its threads so far, user and system. */
  cpuMs(): number
  /** Memory that is its own (RssAnon). */
  anonymousMb(): number
  stop(): Promise<void>
  /** Lets it write what it has to write at its end, such as a profile. */
  end(): Promise<void>
  signal(name: NodeJS.Signals): void
}

const children = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of children) child.kill('SIGKILL')
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => process.exit(130))

/** Resolves once the port answers; throws with the end of what the process wrote when it does not. */
export async function start(command: readonly string[], port: number): Promise<Running> {
  const [program = '', ...parameters] = command
  const child = spawn(program, parameters, { stdio: ['ignore', 'pipe', 'pipe'] })
  children.add(child)
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (text: Buffer) => {
      output = (output + text.toString()).slice(-2000)
    })
  }
  const gone = once(child, 'exit').then(() => children.delete(child))
  const limit = performance.now() + START_LIMIT_MS
  while (!(await isOpen(port))) {
    if (child.exitCode !== null || performance.now() > limit) {
      child.kill('SIGKILL')
      throw new Error(`${program} does not listen on ${port}:\n${output}`)
    }
    await sleep(50)
  }
  const pid = child.pid as number
  return {
    pid,
    cpuMs: () => cpuMsOf(pid),
    anonymousMb: () => sumOver(pid, anonymousKbOf) / 1024,
    async stop() {
      child.kill('SIGKILL')
      await gone
    },
    signal: (name) => void child.kill(name),
    async end() {
      child.kill('SIGTERM')
      await gone
    },
  }
}

/** utime and stime are the 14th and 15th field; the 2nd may hold blanks, so count from its closing bracket. */
function cpuMsOf(pid: number): number {
  return sumOver(pid, (one) => {
    const fields = readFileSync(`/proc/${one}/stat`, 'latin1').split(') ').at(-1)?.split(' ') ?? []
    return ((Number(fields[11]) + Number(fields[12])) * 1000) / TICKS_PER_SECOND
  })
}

function anonymousKbOf(pid: number): number {
  return Number(/RssAnon:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0)
}

/** Over the process and its children: a wrapper may have started the program proper. */
function sumOver(pid: number, read: (pid: number) => number): number {
  const below = readdirSync(`/proc/${pid}/task`).flatMap((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/children`, 'latin1').trim().split(' ').filter(Boolean).map(Number),
  )
  return read(pid) + below.reduce((sum, child) => sum + sumOver(child, read), 0)
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as { port: number }
  server.close()
  await once(server, 'close')
  return port
}

function isOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => resolve(true)).once('error', () => resolve(false))
    socket.once('connect', () => socket.destroy())
  })
}

/** A directory that goes with this process. */
export function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'weft-bench-'))
  process.on('exit', () => rmSync(directory, { recursive: true, force: true }))
  return directory
}
