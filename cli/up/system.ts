// Runs the system's programs: always argv, never a shell, always with a deadline.
import { execFile } from 'node:child_process'

export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
  readonly stderr: string

  constructor(command: readonly string[], stderr: string, options?: ErrorOptions) {
    super(`${command.join(' ')}: ${stderr}`, options)
    this.stderr = stderr
  }
}

/** Resolves with what the program printed; rejects with CommandFailed. */
export function run(command: readonly string[], input = ''): Promise<string> {
  const [program = '', ...argv] = command
  return new Promise((resolve, reject) => {
    const child = execFile(program, argv, { timeout: 20_000, maxBuffer: 16 << 20 }, (error, stdout, stderr) => {
      if (error === null) return resolve(stdout)
      reject(new CommandFailed(command, stderr.trim() || error.message, { cause: error }))
    })
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
