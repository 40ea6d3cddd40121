// The two processes of a mesh that serve all its sidecars: certs, then control, which needs an identity from it.
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Failure } from '../failure.ts'
import type { Bundle } from './bundles.ts'
import { certsEnvironment, controlEnvironment, type Environment, PORTS, type SystemSettings } from './environment.ts'
import { accepts } from './http.ts'
import { lastLines } from './logs.ts'
import type { MeshPaths } from './paths.ts'
import type { MeshPlan } from './plan.ts'
import { KeptProcess } from './processes.ts'

const START_TIMEOUT_MS = 30_000
const ENDS_WHILE_STARTING = 3

export interface SystemParts {
  readonly plan: MeshPlan
  readonly paths: MeshPaths
  readonly base: Environment
  readonly settings: SystemSettings
  /** What control reads and watches. */
  readonly configFile: string
  readonly commandOf: (bundle: Bundle) => readonly string[]
  readonly signal: AbortSignal
  readonly onChange: () => void
}

/** Resolves when the bundle is written and the port answers. */
export async function startCerts(
  parts: SystemParts,
  started: (name: Bundle, process: KeptProcess) => void,
): Promise<void> {
  mkdirSync(parts.paths.authority, { recursive: true, mode: 0o700 })
  const process = keep(parts, 'certs', certsEnvironment(parts.base, parts.plan, parts.paths, parts.settings))
  started('certs', process)
  await waitUntil(parts, { name: 'certs', process }, async () => {
    return existsSync(parts.paths.bundle) && (await answers(parts.plan, PORTS.certificates))
  })
}

/** Resolves when discovery and the local API answer. */
export async function startControl(
  parts: SystemParts,
  started: (name: Bundle, process: KeptProcess) => void,
): Promise<void> {
  const { base, plan, paths, settings, configFile } = parts
  const process = keep(parts, 'control', controlEnvironment(base, plan, { ...paths, mesh: configFile }, settings))
  started('control', process)
  await waitUntil(parts, { name: 'control', process }, async () => {
    return existsSync(paths.controlSocket) && (await answers(plan, PORTS.discovery))
  })
}

function keep(parts: SystemParts, name: Bundle, env: Environment): KeptProcess {
  const spec = { argv: parts.commandOf(name), env, cwd: '/', logFile: join(parts.paths.logs, `${name}.log`) }
  return new KeptProcess(spec, { backoffMs: 200, backoffLimitMs: 5_000, onChange: parts.onChange })
}

async function answers(plan: MeshPlan, port: number): Promise<boolean> {
  for (const { address } of plan.gateways) if (!(await accepts(address, port, 1_000))) return false
  return true
}

async function waitUntil(
  { signal }: SystemParts,
  part: { name: Bundle; process: KeptProcess },
  isUp: () => Promise<boolean>,
): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await isUp())) {
    signal.throwIfAborted()
    const hasFailed = part.process.restarts >= ENDS_WHILE_STARTING
    if (hasFailed || performance.now() > deadline) {
      const lines = lastLines(part.process.logFile, 10).map((line) => `  | ${line}`)
      throw new Failure(
        `${part.name} ${hasFailed ? 'ends as soon as it starts' : `does not answer after ${START_TIMEOUT_MS / 1000} s`}. Its last lines:\n${lines.join('\n')}`,
        'Its log goes with the mesh; --log-level debug makes it say more.',
      )
    }
    await sleep(50, undefined, { signal }).catch(() => undefined)
  }
}
