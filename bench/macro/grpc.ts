// The ends of the gRPC scenes.
import { execFile } from 'node:child_process'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LoadResult } from './compare.ts'
import { freePort, type Running, start } from './processes.ts'

const PROGRAM = join(import.meta.dirname, 'grpc-echo.ts')

export async function startGrpcServer(): Promise<{ readonly port: number; readonly running: Running }> {
  const port = await freePort()
  return { port, running: await start([process.execPath, PROGRAM, 'serve', String(port)], port) }
}

/** Rejects when a call failed or its answer was another than was said. */
export async function runGrpcLoad(port: number, load: { calls: number; seconds: number }): Promise<LoadResult> {
  const argv = [PROGRAM, 'load', port, load.calls, load.seconds].map(String)
  const { stdout } = await promisify(execFile)(process.execPath, argv)
  return JSON.parse(stdout) as LoadResult
}
