// The control plane of a mesh: reads its settings, starts, and drains on SIGTERM.
import { systemClock } from '#shared/clock.ts'
import { createLog } from '#shared/log.ts'
import { readControlConfig } from './config.ts'
import { startControl } from './start.ts'

async function main(): Promise<void> {
  const config = readControlConfig(process.env)
  const log = createLog('control', config.logLevel)
  const control = await startControl(config, { clock: systemClock, log, random: Math.random })
  log.info({ pid: process.pid, socket: config.socket }, 'control runs')
  const stop = (signal: string) => {
    log.info({ signal }, 'draining')
    control.close().then(
      () => process.exit(0),
      (error: unknown) => {
        log.error({ err: error }, 'the drain failed')
        process.exit(1)
      },
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

main().catch((error: unknown) => {
  process.stderr.write(`control: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exit(1)
})
