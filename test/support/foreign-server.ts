// A server that is none of ours, as a process of its own on a port of loopback.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { until } from './caller.ts'

export interface ForeignServer extends AsyncDisposable {
  readonly program: string
  readonly child: ChildProcess
}

export function start(program: string, argv: readonly string[]): ForeignServer {
  const child = spawn(program, argv, { stdio: 'ignore' })
  return {
    program,
    child,
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return
      const exit = once(child, 'exit')
      child.kill('SIGKILL')
      await exit
    },
  }
}

const isOpen = (port: number) =>
  new Promise<boolean>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' })
    const answer = (is: boolean) => {
      socket.destroy()
      resolve(is)
    }
    socket.on('connect', () => answer(true)).on('error', () => answer(false))
  })

/** Returns the port once it answers there. */
export async function listening({ program, child }: ForeignServer, port: number): Promise<number> {
  await until(`${program} listens`, () => {
    if (child.exitCode !== null) throw new Error(`${program} has ended with ${child.exitCode}`)
    return isOpen(port)
  })
  return port
}
