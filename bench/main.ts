// make bench: what the data path costs on this machine. Arguments: `quick`, `macro` or `micro` for one of the two, and `page` to
// renew the table of docs/performance.md.
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { join } from 'node:path'
import { runScenes } from './macro/scenes.ts'

const wanted = new Set(process.argv.slice(2))
const isAll = !wanted.has('macro') && !wanted.has('micro')
const isQuick = wanted.has('quick')
const print = (line: string) => process.stdout.write(`${line}\n`)

if (isAll || wanted.has('micro')) {
  for (const file of globSync(join(import.meta.dirname, 'micro/*.bench.ts')).sort()) {
    print(`\n${file.slice(import.meta.dirname.length + 1)}`)
    const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit' })
    if (status !== 0) process.exitCode = 1
  }
}
if (isAll || wanted.has('macro')) {
  const missing = ['wrk', 'nginx'].filter((program) => spawnSync(program, ['-v']).error !== undefined)
  if (missing.length > 0) {
    print(`The macro benchmark needs ${missing.join(' and ')}: apt-get install ${missing.join(' ')}`)
    process.exit(1)
  }
  const size = isQuick
    ? { connections: [32], rounds: 3, seconds: 2 }
    : { connections: [1, 32, 128], rounds: 5, seconds: 3 }
  await runScenes({ ...size, isForPage: wanted.has('page'), print })
}
