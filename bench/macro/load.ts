// The ends of a benchmark: nginx, which answers 100 bytes, and wrk, which asks for them.
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { LoadResult } from './compare.ts'
import { freePort, type Running, start } from './processes.ts'

const BODY = 'x'.repeat(100)

export async function startNginx(directory: string): Promise<{ readonly port: number; readonly running: Running }> {
  const port = await freePort()
  const file = join(directory, 'nginx.conf')
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
  const temporary = paths.map((name) => `${name}_temp_path ${directory}/${name};`).join(' ')
  writeFileSync(
    file,
    `daemon off; master_process off; pid ${directory}/nginx.pid; error_log ${directory}/nginx.log;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000; keepalive_timeout 1h; ${temporary}
  server { listen 127.0.0.1:${port} backlog=4096; location / { default_type text/plain; return 200 "${BODY}"; } }
}
`,
  )
  return { port, running: await start(['nginx', '-c', file, '-p', directory], port) }
}

export interface Load {
  readonly connections: number
  readonly seconds: number
}

/** Ends wrk at the first answer that is another: a fast failure must not be taken for a fast answer. */
const CHECK = join(import.meta.dirname, 'check-answers.lua')

/** Throws when an answer was not 200 with its whole body. */
export async function runWrk(port: number, load: Load): Promise<LoadResult> {
  const url = `http://127.0.0.1:${port}/`
  const flags = ['-t1', `-c${load.connections}`, `-d${load.seconds}s`, '--latency', '-s', CHECK, url]
  const { stdout } = await promisify(execFile)('wrk', flags)
  const requests = Number(/(\d+) requests in/.exec(stdout)?.[1])
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1])
  if (/Non-2xx|Socket errors|wrong answer/.test(stdout) || !(requests > 0)) throw new Error(`wrk at ${url}:\n${stdout}`)
  return { requests, perSecond, p99: millisecondsOf(/99%\s+([\d.]+)(us|ms|s)/.exec(stdout)) }
}

function millisecondsOf(match: RegExpExecArray | null): number {
  return Number(match?.[1]) * ({ us: 0.001, ms: 1, s: 1000 }[match?.[2] ?? ''] ?? Number.NaN)
}
