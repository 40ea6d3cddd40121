// One scene: the rivals take turns within each round, so that a neighbour on the machine slows all of them, and are judged by the CPU
// that all their processes spent for a request.
import type { Rival } from './rivals.ts'

export interface LoadResult {
  readonly requests: number
  readonly perSecond: number
  /** Milliseconds. */
  readonly p99: number
}

export interface Spread {
  readonly median: number
  readonly least: number
  readonly most: number
}

export interface Result {
  readonly scene: string
  readonly rounds: number
  readonly rivals: readonly {
    readonly name: string
    readonly cpuUs: Spread
    readonly perSecond: Spread
    readonly p99Ms: Spread
    readonly memoryMb: readonly number[]
  }[]
  /** Of CPU for a request, ours to Envoy's, round by round. */
  readonly ratio: Spread | null
}

export interface Scene {
  readonly name: string
  readonly rivals: readonly Rival[]
  /** Rejects when an answer was not as it must be. */
  readonly load: (port: number, seconds: number) => Promise<LoadResult>
}

interface Sample extends LoadResult {
  readonly cpuUs: number
}

export async function compare(scene: Scene, rounds: number, seconds: number): Promise<Result> {
  for (const rival of scene.rivals) await scene.load(rival.port, 2)
  const samples = new Map<Rival, Sample[]>(scene.rivals.map((rival) => [rival, []]))
  for (let round = 0; round < rounds; round++) {
    // Whoever comes second finds the machine as the first has left it.
    const order = round % 2 === 0 ? scene.rivals : scene.rivals.toReversed()
    for (const rival of order) samples.get(rival)?.push(await sample(scene, rival, seconds))
  }
  const [ours, theirs] = scene.rivals.map((rival) => samples.get(rival) ?? [])
  const rivals = scene.rivals.map((rival) => ({
    name: rival.name,
    cpuUs: spread(samples.get(rival)?.map((one) => one.cpuUs) ?? []),
    perSecond: spread(samples.get(rival)?.map((one) => one.perSecond) ?? []),
    p99Ms: spread(samples.get(rival)?.map((one) => one.p99) ?? []),
    memoryMb: rival.proxies.map((proxy) => Math.round(proxy.anonymousMb())),
  }))
  const ratios =
    theirs === undefined ? [] : (ours ?? []).map(({ cpuUs }, i) => cpuUs / (theirs[i]?.cpuUs ?? Number.NaN))
  return { scene: scene.name, rounds, rivals, ratio: ratios.length === 0 ? null : spread(ratios) }
}

async function sample(scene: Scene, rival: Rival, seconds: number): Promise<Sample> {
  const spent = () => rival.proxies.reduce((sum, proxy) => sum + proxy.cpuMs(), 0)
  const before = spent()
  const result = await scene.load(rival.port, seconds)
  return { ...result, cpuUs: ((spent() - before) * 1000) / result.requests }
}

function spread(values: readonly number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  const median = sorted.length % 2 === 1 ? upper : (upper + (sorted[middle - 1] ?? Number.NaN)) / 2
  return { median, least: sorted[0] ?? Number.NaN, most: sorted.at(-1) ?? Number.NaN }
}
