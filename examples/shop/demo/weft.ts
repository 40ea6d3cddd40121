// Runs `bin/weft`, as a person would.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'

const ROOT = join(import.meta.dirname, '../../..')
const WEFT = join(ROOT, 'bin/weft')

/** What it wrote; rejects with its own words when it fails. */
export function weft(...args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(WEFT, args, { cwd: ROOT, maxBuffer: 1 << 28, encoding: 'utf8' }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout.trim())
      else
        reject(
          new Error(`weft ${args.join(' ')}: ${stderr.trim() || stdout.trim() || error.message}`, { cause: error }),
        )
    })
  })
}

/** Shows what it writes; rejects when it fails. */
export async function weftAloud(...args: string[]): Promise<void> {
  const child = spawn(WEFT, args, { cwd: ROOT, stdio: 'inherit' })
  const [code] = await once(child, 'exit')
  if (code !== 0) throw new Error(`weft ${args[0]} failed`)
}
