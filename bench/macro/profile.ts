// Where the CPU of a pair goes: profiles of both processes under load, summed by the folder that the time was spent in.
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LoadResult } from './compare.ts'
import { startProfiledPair } from './rivals.ts'

interface CpuProfile {
  readonly nodes: readonly {
    readonly id: number
    readonly callFrame: { readonly functionName: string; readonly url: string }
  }[]
  readonly samples: readonly number[]
  readonly timeDeltas: readonly number[]
}

/** Share of the time that was not idle, by where it was spent; the largest first. */
export async function profilePair(
  upstream: number,
  load: (port: number) => Promise<LoadResult>,
): Promise<ReadonlyMap<string, number>> {
  const folder = mkdtempSync(join(tmpdir(), 'weft-profile-'))
  try {
    const { port, proxies } = await startProfiledPair(upstream, folder)
    await load(port)
    for (const proxy of proxies) proxy.signal('SIGUSR2')
    await load(port)
    await Promise.all(proxies.map((proxy) => proxy.end()))
    const files = globSync(join(folder, '*.cpuprofile'))
    return sharesOf(files.map((file) => JSON.parse(readFileSync(file, 'utf8')) as CpuProfile))
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function sharesOf(profiles: readonly CpuProfile[]): ReadonlyMap<string, number> {
  const spent = new Map<string, number>()
  let total = 0
  for (const { nodes, samples, timeDeltas } of profiles) {
    const placeOf = new Map(nodes.map(({ id, callFrame }) => [id, place(callFrame)]))
    for (const [i, id] of samples.entries()) {
      const where = placeOf.get(id) ?? 'unknown'
      const took = Math.max(0, timeDeltas[i] ?? 0)
      if (where === 'idle') continue
      spent.set(where, (spent.get(where) ?? 0) + took)
      total += took
    }
  }
  return new Map(
    [...spent].map(([where, took]): [string, number] => [where, took / total]).sort(([, a], [, b]) => b - a),
  )
}

const NATIVE: Readonly<Record<string, string>> = {
  '(idle)': 'idle',
  '(program)': 'Node itself, system calls and OpenSSL among it',
  '(garbage collector)': 'garbage collection',
}

function place({ functionName, url }: { readonly functionName: string; readonly url: string }): string {
  // The profiler's own cost is none of the proxy's.
  if (url === 'node:inspector') return 'idle'
  const native = NATIVE[functionName]
  if (native !== undefined) return native
  if (/^write(v|Buffer|Latin1String|Utf8String|AsciiString)?$/.test(functionName) && url === '')
    return 'writes to sockets, encryption among it'
  const [, folder] = /\/(sidecar\/[^/]+|shared)\//.exec(url) ?? []
  if (folder !== undefined) return folder.replace(/^sidecar\/(.*)\.ts$/, 'sidecar')
  if (url.startsWith('node:')) return "Node's streams, sockets and timers"
  return url === '' ? 'V8 and native calls' : 'packages'
}
