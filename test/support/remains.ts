// What a mesh has on this machine, found without the code that is under test: for "nothing is left".
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync } from 'node:fs'

/** Empty: nothing of the mesh is here. */
export function remainsOf(mesh: string): string[] {
  const isOurs = (name: string) => name === `weft-${mesh}` || name.startsWith(`weft-${mesh}.`)
  const link = `weft-${createHash('sha256').update(mesh).digest('hex').slice(0, 8)}`
  const namespaces = execFileSync('ip', ['netns', 'list'], { encoding: 'utf8' }).split('\n')
  const links = execFileSync('ip', ['-o', 'link'], { encoding: 'utf8' }).split('\n')
  return [
    ...namespaces
      .map((line) => line.split(' ')[0] ?? '')
      .filter(isOurs)
      .map((name) => `namespace ${name}`),
    ...links.filter((line) => line.includes(`${link}@`) || line.includes(`${link}:`)).map((line) => `link ${line}`),
    ...entries('/etc/netns')
      .filter(isOurs)
      .map((name) => `/etc/netns/${name}`),
    ...(existsSync(`/run/weft/${mesh}`) ? [`/run/weft/${mesh}`] : []),
    ...entries('/proc')
      .filter((pid) => isMarked(pid, mesh))
      .map((pid) => `process ${pid}`),
  ]
}

function isMarked(pid: string, mesh: string): boolean {
  if (!/^\d+$/.test(pid)) return false
  try {
    return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').includes(`WEFT_MESH=${mesh}`)
  } catch {
    return false
  }
}

function entries(directory: string): string[] {
  return existsSync(directory) ? readdirSync(directory) : []
}
