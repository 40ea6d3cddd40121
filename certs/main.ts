// The certificate authority of a mesh: reads its settings, starts, and drains on SIGTERM.
import { systemClock } from '#shared/clock.ts'
import { createLog } from '#shared/log.ts'
import { readCertsConfig } from './config.ts'
import { startCerts } from './start.ts'

async function main(): Promise<void> {
  const config = readCertsConfig(process.env)
  const log = createLog('certs', config.logLevel)
  const certs = await startCerts(config, { clock: systemClock, log, random: Math.random })
  const stop = (signal: string) => {
    log.info({ signal }, 'draining')
    certs.close().then(
      () => log.info('stopped'),
      (error: unknown) => log.error({ err: error }, 'the drain failed'),
    )
  }
  process.once('SIGTERM', stop)
  process.once('SIGINT', stop)
}

main().catch((error: unknown) => {
  process.stderr.write(`certs: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
