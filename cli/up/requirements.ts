// What `weft up` needs of the machine and of the documents, looked at before anything is made.
import { accessSync, constants, existsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { delimiter, isAbsolute, join, resolve } from 'node:path'
import { formatAddress } from '#shared/address.ts'
import { parseDuration } from '#shared/settings.ts'
import { Failure, messageOf } from '../failure.ts'
import type { MeshPlan, PodPlan } from './plan.ts'
import { run } from './system.ts'

const PROGRAMS: Readonly<Record<string, string>> = {
  ip: 'iproute2',
  'iptables-restore': 'iptables',
  'iptables-save': 'iptables',
  'ip6tables-restore': 'iptables',
  'ip6tables-save': 'iptables',
  setpriv: 'util-linux',
}

/** Throws a Failure unless this is root on a Linux with the programs that `weft up` runs. */
export function checkMachine(command: string, path: string, uid = process.getuid?.()): void {
  if (process.platform !== 'linux') {
    throw new Failure(`weft ${command} needs Linux, this is ${process.platform}`, 'Run it in a Linux machine.')
  }
  if (uid !== 0) {
    throw new Failure(
      `weft ${command} needs root: it makes network namespaces and iptables rules`,
      `Run: sudo bin/weft ${command} ...`,
    )
  }
  const missing = Object.keys(PROGRAMS).filter((program) => findProgram(program, path, '/') === undefined)
  if (missing.length === 0) return
  const packages = [...new Set(missing.map((program) => PROGRAMS[program]))].join(' ')
  throw new Failure(`programs are missing: ${missing.join(', ')}`, `On Debian: apt-get install ${packages}`)
}

/** certs would refuse it too, but only when a network is there already. */
const LEAST_LIFETIME_MS = 30_000

/** Throws a Failure unless certs takes this lifetime of certificates; undefined is its default. */
export function checkLifetime(text: string | undefined): void {
  if (text === undefined || (parseDuration(text) ?? 0) >= LEAST_LIFETIME_MS) return
  throw new Failure(`--svid-lifetime ${text}: want a duration of 30s or more`, 'Such as: --svid-lifetime 24h')
}

/** Throws a Failure that names each workload whose command or working directory is not there. */
export function checkCommands(plan: MeshPlan, from: string, path: string): void {
  const mistakes = new Map<string, string>()
  for (const pod of plan.pods) {
    const mistake = commandMistake(pod, from, path)
    if (mistake !== undefined) mistakes.set(pod.workload, `Workload ${pod.namespace}/${pod.workload}: ${mistake}`)
  }
  if (mistakes.size === 0) return
  throw new Failure(
    [...mistakes.values()].join('\n'),
    'Correct spec.command or spec.workingDir, or install the program. Relative paths begin where weft up is called.',
  )
}

function commandMistake(pod: PodPlan, from: string, path: string): string | undefined {
  const directory = resolve(from, pod.workingDirectory ?? '.')
  if (!existsSync(directory) || !statSync(directory).isDirectory())
    return `spec.workingDir ${directory} is no directory`
  const [program = ''] = pod.command
  if (findProgram(program, pod.env['PATH'] ?? path, directory) !== undefined) return undefined
  return program.includes('/')
    ? `the command ${resolve(directory, program)} is not there, or not executable`
    : `the command "${program}" is not found in PATH (${path})`
}

/** As execvp finds it; undefined: not at all. */
export function findProgram(program: string, path: string, directory: string): string | undefined {
  const places = program.includes('/')
    ? [isAbsolute(program) ? program : join(directory, program)]
    : path.split(delimiter).map((each) => join(each, program))
  return places.find((place) => {
    try {
      accessSync(place, constants.X_OK)
      return statSync(place).isFile()
    } catch {
      return false
    }
  })
}

/** Throws a Failure when another program listens where control or certs must. */
export async function checkPorts(gateways: readonly string[], ports: readonly number[]): Promise<void> {
  for (const host of gateways) {
    for (const port of ports) {
      const error = await tryListen(host, port)
      if (error === undefined) continue
      const listeners = await run(['ss', '-Hltnp', `sport = :${port}`]).catch(() => '')
      throw new Failure(
        `port ${port} is in use: ${formatAddress({ host, port })} cannot be had (${messageOf(error)})${listeners === '' ? '' : `\n${listeners.trimEnd()}`}`,
        `End what listens on port ${port} of every address, or let it listen on one address only (such as 127.0.0.1).`,
      )
    }
  }
}

function tryListen(host: string, port: number): Promise<Error | undefined> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', done)
    server.listen({ host, port }, () => server.close(() => done(undefined)))
  })
}
