// The flooder as a test holds it in its hand.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface Sent {
  readonly connections: number
  readonly bytes: number
}

export interface Flooder {
  /** Resolves once the flood must be felt. */
  on(): Promise<Sent>
  off(): Promise<Sent>
  end(): Promise<void>
}

export async function startFlooder(name: string, port: number): Promise<Flooder> {
  const argv = [join(import.meta.dirname, 'flooder.ts'), `${port}`, name]
  const child = spawn(process.execPath, argv, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines = createInterface(child.stdout)
  const tell = async (line: 'on' | 'off'): Promise<Sent> => {
    const answered = once(lines, 'line')
    child.stdin.write(`${line}\n`)
    const [answer] = (await answered) as [string]
    return JSON.parse(answer)
  }
  await tell('off')
  return { on: () => tell('on'), off: () => tell('off'), end: () => endProcess(child) }
}

export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exit = once(child, 'exit')
  child.kill('SIGKILL')
  await exit
}
