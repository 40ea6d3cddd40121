// weft up: brings a mesh up and stays as its supervisor until Ctrl-C, SIGTERM or `weft down`.
import { appendFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Context } from '../context.ts'
import { paint, type Terminal } from '../terminal.ts'
import { bringUp } from '../up/bring-up.ts'
import type { Running } from '../up/running.ts'
import { sweep } from '../up/teardown.ts'
import { releaseStarter, startDetached } from './detach.ts'

export interface UpFlags {
  readonly detach?: boolean
  readonly svidLifetime?: string
  readonly logLevel?: string
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

export async function up(context: Context, file: string, flags: UpFlags): Promise<void> {
  const { detach, ...settings } = flags
  if (detach === true) return startDetached(context.terminal, supervisorArguments(file, settings))
  const stop = new AbortController()
  let running: Running | undefined
  const onSignal = () => {
    if (stop.signal.aborted && running !== undefined) void force(context, running)
    stop.abort()
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  try {
    const source = { file }
    const report = createProgress(context.terminal)
    running = await bringUp({ ...context, ...settings, source, isCommand: true, report, signal: stop.signal })
    logMistakes(running)
    tellUp(context.terminal, running)
    releaseStarter()
    await aborted(stop.signal)
    context.terminal.out(`taking mesh ${running.name} down`)
    await running.down(createProgress(context.terminal))
  } finally {
    for (const signal of SIGNALS) process.off(signal, onSignal)
  }
}

/** A second Ctrl-C: whoever gives it does not want to wait for what is in flight. */
async function force({ terminal, runDirectory }: Context, { name }: Running): Promise<void> {
  terminal.out('ending at once, without a drain')
  await sweep(name, runDirectory)
  process.exit(1)
}

function supervisorArguments(file: string, { svidLifetime, logLevel }: UpFlags): string[] {
  return [
    'up',
    file,
    ...(svidLifetime === undefined ? [] : ['--svid-lifetime', svidLifetime]),
    ...(logLevel === undefined ? [] : ['--log-level', logLevel]),
  ]
}

function createProgress(terminal: Terminal): (line: string) => void {
  const startedAt = performance.now()
  return (line) => {
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1).padStart(5)
    terminal.out(`${paint(terminal, 'dim', `${seconds}s`)}  ${line}`)
  }
}

function tellUp(terminal: Terminal, { name, pods, plan }: Running): void {
  terminal.out(paint(terminal, 'good', `mesh ${name} is up: ${pods.size} ${pods.size === 1 ? 'pod' : 'pods'}`))
  for (const service of plan.services) {
    terminal.out(`  ${service.name}.${service.namespace}  ${service.addresses.join(', ')}`)
  }
  terminal.out(
    process.connected
      ? `Elsewhere: weft status, weft logs NAME, weft exec NAME -- COMMAND; weft down ${name} takes it down`
      : 'Ctrl-C takes it down. Elsewhere: weft status, weft logs NAME, weft exec NAME -- COMMAND',
  )
}

/** A detached supervisor has no terminal: what it dies of is found in the logs of the mesh. */
function logMistakes({ paths }: Running): void {
  process.on('uncaughtExceptionMonitor', (error) => {
    appendFileSync(join(paths.logs, 'supervisor.log'), `${new Date().toISOString()} ${error.stack ?? error.message}\n`)
  })
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}
