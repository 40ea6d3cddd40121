// Runs the system's programs: always argv, never a shell, always with a deadline.
import { execFile } from 'node:child_process'

/** What ip and iptables need in a blink takes seconds on a machine where much else computes. */
const LIMIT_MS = 20_000

/** Resolves with what the program printed; rejects with an error that says what it said. */
export function run(command: readonly string[], input = '', limitMs = LIMIT_MS): Promise<string> {
  const [program = '', ...argv] = command
  return new Promise((resolve, reject) => {
    const child = execFile(program, argv, { timeout: limitMs, maxBuffer: 16 << 20 }, (cause, stdout, stderr) => {
      if (cause === null) return resolve(stdout)
      const isLate = cause.killed === true && cause.signal === 'SIGTERM'
      const said = isLate ? `it did not end within ${limitMs / 1000} s` : stderr.trim() || cause.message
      reject(new Error(`${command.join(' ')}: ${said}`, { cause }))
    })
    // A program that cannot start leaves a broken pipe; the callback above says why.
    child.stdin?.on('error', () => undefined)
    child.stdin?.end(input)
  })
}
