// The scenes of `make bench`: HTTP/1.1 through one hop and through a pair, and gRPC calls through a pair.
import { join } from 'node:path'
import { compare, type Result, type Scene } from './compare.ts'
import { runGrpcLoad, startGrpcServer } from './grpc.ts'
import { runWrk, startNginx } from './load.ts'
import { type Running, temporaryDirectory } from './processes.ts'
import { profilePair } from './profile.ts'
import { profileOf, tableOf, writeJson, writePage } from './report.ts'
import { type Arena, openArena, type Rival } from './rivals.ts'

export interface BenchOptions {
  readonly connections: readonly number[]
  readonly rounds: number
  readonly seconds: number
  /** Renews docs/performance.md. */
  readonly isForPage: boolean
  readonly print: (line: string) => void
}

export async function runScenes(options: BenchOptions): Promise<void> {
  const { rounds, seconds, print } = options
  const directory = temporaryDirectory()
  const arena = await openArena(directory, print)
  const results: Result[] = []
  const play = async (make: () => Promise<Played>) => {
    const { scenes, running } = await make()
    try {
      for (const scene of scenes) {
        print(`${scene.name}: ${rounds} rounds of ${seconds} s for each`)
        results.push(await compare(scene, rounds, seconds))
      }
    } finally {
      await Promise.all(running.map((one) => one.stop()))
    }
  }
  await play(() => hopScenes(arena, directory, options))
  await play(() => pairScenes(arena, directory, options))
  await play(() => grpcScenes(arena, options))
  print(`\n${tableOf(results)}\n\n${join(writeJson(results))}`)
  const profile = profileOf(await profileScene(directory))
  print(`\n${profile}`)
  if (options.isForPage) writePage(results, profile)
}

async function profileScene(directory: string): Promise<ReadonlyMap<string, number>> {
  const { port, running } = await startNginx(directory)
  try {
    return await profilePair(port, (at) => runWrk(at, { connections: 32, seconds: 5 }))
  } finally {
    await running.stop()
  }
}

interface Played {
  readonly scenes: readonly Scene[]
  readonly running: readonly Running[]
}

const proxiesOf = (rivals: readonly Rival[]) => rivals.flatMap(({ proxies }) => proxies)

async function hopScenes(arena: Arena, directory: string, { connections }: BenchOptions): Promise<Played> {
  const { port, running } = await startNginx(directory)
  const rivals = await arena.hops(port)
  const scenes = connections.map((count) => http1Scene(`HTTP/1.1, one hop, ${count} connections`, rivals, count))
  return { scenes, running: [running, ...proxiesOf(rivals)] }
}

async function pairScenes(arena: Arena, directory: string, { connections }: BenchOptions): Promise<Played> {
  const { port, running } = await startNginx(directory)
  const rivals = await arena.pairs(port, 'http1')
  const scenes = connections.map((count) =>
    http1Scene(`HTTP/1.1, pair with mutual TLS, ${count} connections`, rivals, count),
  )
  return { scenes, running: [running, ...proxiesOf(rivals)] }
}

async function grpcScenes(arena: Arena, { connections }: BenchOptions): Promise<Played> {
  const { port, running } = await startGrpcServer()
  const rivals = await arena.pairs(port, 'grpc')
  const scenes = connections.map((count) => ({
    name: `gRPC unary, pair with mutual TLS, ${count} calls at a time`,
    rivals,
    load: (at: number, seconds: number) => runGrpcLoad(at, { calls: count, seconds }),
  }))
  return { scenes, running: [running, ...proxiesOf(rivals)] }
}

const http1Scene = (name: string, rivals: readonly Rival[], connections: number): Scene => ({
  name,
  rivals,
  load: (port, seconds) => runWrk(port, { connections, seconds }),
})
