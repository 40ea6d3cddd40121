// Second opinions on smuggling: nginx, HAProxy and Apache as applications behind a pair of sidecars. What these forward of an attacker's bytes
// each of them reads as the requests that were said, and as no other.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { closeAll } from '../../security/attack.ts'
import { crossOnce, type KeptMessage, meaningOf, sendHttp1, targetBefore, WAYS } from '../../security/crossing.ts'
import { freePorts } from '../../support/free-ports.ts'
import { programOf } from './programs.ts'

const HTTP1 = new URL('../../fixtures/http1-corpus/', import.meta.url)
const CROSSING = new URL('../../fixtures/crossing-corpus/', import.meta.url)

const children: ChildProcess[] = []
const directories: string[] = []
afterAll(async () => {
  await closeAll()
  for (const child of children.splice(0)) {
    const ended = child.exitCode === null && child.signalCode === null ? once(child, 'exit') : undefined
    child.kill('SIGTERM')
    await ended
  }
  for (const directory of directories.splice(0)) rmSync(directory, { recursive: true, force: true })
})

/** What a program is started with; it logs each request as "METHOD TARGET". */
interface Program {
  readonly command: string
  readonly debianPackage: string
  readonly argv: (config: string, directory: string) => readonly string[]
  readonly config: (port: number, directory: string) => string
  /** A line of its log without what it escapes. */
  readonly read: (line: string) => string
}

const MODULES = ['mpm_event', 'authz_core'].map(
  (name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`,
)

const PROGRAMS: Readonly<Record<string, Program>> = {
  nginx: {
    command: 'nginx',
    debianPackage: 'nginx',
    read: (line) => line,
    argv: (config, directory) => ['-p', directory, '-e', 'stderr', '-c', config],
    config: (port, directory) => `
daemon off; worker_processes 1; pid ${directory}/pid;
events { worker_connections 512; }
http {
  ${['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((kind) => `${kind}_temp_path ${directory}/${kind};`).join(' ')}
  log_format said escape=none '$request_method $request_uri';
  access_log ${directory}/log said;
  server { listen 127.0.0.1:${port}; return 200 "ok"; }
}`,
  },
  HAProxy: {
    command: 'haproxy',
    debianPackage: 'haproxy',
    read: (line) => line.replace(/#([0-9A-F]{2})/g, (_, code) => String.fromCharCode(Number.parseInt(code, 16))),
    argv: (config) => ['-db', '-f', config],
    config: (port) => `
global
  log stdout format raw local0
defaults
  mode http
  log global
  log-format "%HM %HU"
  timeout client 60s
  timeout http-request 60s
frontend application
  bind 127.0.0.1:${port}
  http-request wait-for-body time 5s
  http-request return status 200 content-type text/plain string ok
`,
  },
  Apache: {
    command: 'apache2',
    debianPackage: 'apache2-bin',
    read: (line) => line.replace(/\\(["\\])/g, '$1'),
    argv: (config) => ['-X', '-f', config],
    config: (port, directory) => `
${MODULES.join('\n')}
ServerName catalog
ServerRoot ${directory}
PidFile ${directory}/pid
Listen 127.0.0.1:${port}
User nobody
Group nogroup
DocumentRoot ${directory}
DefaultRuntimeDir ${directory}
ErrorLog ${directory}/errors
AllowEncodedSlashes On
LogFormat "%r" said
CustomLog ${directory}/log said
KeepAlive On
MaxKeepAliveRequests 0
`,
  },
}

/** Starts it; `said` is what it has logged. */
async function start({ command, debianPackage, argv, config, read }: Program) {
  const directory = mkdtempSync(join(tmpdir(), 'weft-opinion-'))
  directories.push(directory)
  // The servers become another user.
  chmodSync(directory, 0o777)
  const [port = 0] = await freePorts(1)
  const file = join(directory, 'config')
  writeFileSync(file, config(port, directory))
  let output = ''
  const child = spawn(programOf(command, debianPackage), argv(file, directory), { stdio: ['ignore', 'pipe', 'pipe'] })
  children.push(child)
  child.stdout.on('data', (chunk: Buffer) => {
    output += chunk.toString('latin1')
  })
  child.stderr.on('data', (chunk: Buffer) => {
    output += chunk.toString('latin1')
  })
  await expect.poll(() => answers(port), { timeout: 30_000 }).toBe(true)
  return { port, said: () => linesOf(directory, output).map(read) }
}

function linesOf(directory: string, output: string): string[] {
  let text = output
  try {
    text += readFileSync(join(directory, 'log'), 'latin1')
  } catch {}
  return text
    .split('\n')
    .filter((line) => /^[A-Z!-~]+ [/*h]/.test(line))
    .map((line) => line.replace(/ HTTP\/1\.[01]$/, ''))
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
    socket.on('connect', () => socket.destroy())
  })
}

const namesIn = (corpus: URL, ending: string) => readdirSync(corpus).filter((name) => name.endsWith(ending))

/** Sends every kept file on a way of each version, and returns what may be read, as the programs log it: each as often as it was sent. */
async function sendAll(port: number): Promise<string[]> {
  const nothing = { port, requests: [], forget() {}, faults: () => [], async [Symbol.asyncDispose]() {} }
  const target = await targetBefore(nothing, 'HTTP/1.1')
  const said: string[] = []
  for (const [, way] of WAYS['HTTP/1.1'])
    for (const name of namesIn(HTTP1, '.request')) {
      const bytes = readFileSync(new URL(name, HTTP1))
      const meaning = await meaningOf(bytes, 'HTTP/1.1')
      for (const { method, target: path } of meaning.readings.flat()) said.push(`${method} ${path}`)
      said.push('GET /last', 'GET /last')
      await sendHttp1(target, way, bytes, meaning.isCut)
    }
  for (const [, way] of WAYS['HTTP/2'])
    for (const name of namesIn(CROSSING, '.json')) {
      const kept: KeptMessage = JSON.parse(readFileSync(new URL(name, CROSSING), 'latin1'))
      const of = (key: string) => kept.fields.find(([field]) => field === key)?.[1]
      if (kept.reaches) said.push(`${of(':method')} ${of(':path')}`)
      said.push('GET /last', 'GET /last')
      await crossOnce(target, way, kept)
    }
  return said
}

test.each(Object.keys(PROGRAMS))(
  '%s reads every kept message that a sidecar forwards as the one that was said',
  async (name) => {
    const program = await start(PROGRAMS[name] as Program)
    const said = await sendAll(program.port)

    // It logs when it has answered, of which the last of all hears before.
    await expect.poll(() => program.said().length, { timeout: 10_000 }).toBeGreaterThan(300)
    const strays = program.said().filter((line) => {
      const at = said.indexOf(line)
      if (at >= 0) said.splice(at, 1)
      return at < 0
    })
    expect(strays).toEqual([])
  },
)
