// weft up --detach: the supervisor is a process and a session of its own. What it says while it comes up is shown here; then
// this process ends and leaves it behind.
import { spawn } from 'node:child_process'
import type { Terminal } from '../terminal.ts'

/** From the supervisor to the process that was called. */
type Message = { readonly line: string; readonly isError: boolean } | { readonly isUp: true }

/** Sets the exit code when the supervisor ends before its mesh is up; it has said why. */
export async function startDetached(terminal: Terminal, argv: readonly string[]): Promise<void> {
  const command = [...process.execArgv, process.argv[1] ?? '', ...argv]
  const child = spawn(process.execPath, command, { detached: true, stdio: ['ignore', 'ignore', 'ignore', 'ipc'] })
  const isUp = await new Promise<boolean>((resolve, reject) => {
    child.on('message', (message: Message) => {
      if ('isUp' in message) resolve(true)
      else if (message.isError) terminal.error(message.line)
      else terminal.out(message.line)
    })
    child.once('error', reject)
    child.once('exit', () => resolve(false))
  })
  if (!isUp) process.exitCode = 1
  if (child.connected) child.disconnect()
  child.unref()
}

/** In the supervisor: the terminal is the process that started it, while that is there. */
export function createDetachedTerminal(): Terminal {
  const say = (line: string, isError: boolean) => send({ line, isError })
  return {
    isColoured: false,
    isErrorColoured: false,
    out: (line) => say(line, false),
    error: (line) => say(line, true),
  }
}

/** In the supervisor: the mesh is up, nobody needs to wait. Nothing happens where nobody does. */
export function releaseStarter(): void {
  send({ isUp: true }, () => process.disconnect?.())
}

function send(message: Message, then: () => void = () => undefined): void {
  if (process.connected) process.send?.(message, undefined, undefined, then)
}
