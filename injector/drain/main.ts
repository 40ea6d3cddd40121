// Run by the kubelet in the sidecar's container when the pod is to end.
import { port, readSettings } from '#shared/settings.ts'
import { askToDrain } from './ask-to-drain.ts'

const SETTINGS = { adminPort: port('WEFT_ADMIN_PORT', '15000', 'Admin of the sidecar, on loopback.') }

async function main(): Promise<void> {
  const { adminPort } = readSettings(SETTINGS, process.env)
  await askToDrain(adminPort)
}

main().catch((error: unknown) => {
  process.stderr.write(`weft drain: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
