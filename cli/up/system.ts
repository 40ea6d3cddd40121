// Runs the system's programs: always argv, never a shell, always with a deadline.
import { execFile } from 'node:child_process'

/** Resolves with what the program printed; rejects with an error that says what it said. */
export function run(command: readonly string[], input = ''): Promise<string> {
  const [program = '', ...argv] = command
  return new Promise((resolve, reject) => {
    const child = execFile(program, argv, { timeout: 20_000, maxBuffer: 16 << 20 }, (cause, stdout, stderr) => {
      if (cause === null) return resolve(stdout)
      reject(new Error(`${command.join(' ')}: ${stderr.trim() || cause.message}`, { cause }))
    })
    // A program that cannot start leaves a broken pipe; the callback above says why.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
