// The init container weft-init. Its last line of output stands in `kubectl describe pod` when it fails.
import { existsSync } from 'node:fs'
import { readInitConfig } from './config.ts'
import { redirectPod } from './redirect-pod.ts'

async function main(): Promise<void> {
  const config = readInitConfig(process.env)
  const { backend, hasIPv6 } = await redirectPod(config, { hasIPv6: existsSync('/proc/net/if_inet6') })
  process.stdout.write(
    `all TCP of this pod goes through its sidecar (${backend}, ${hasIPv6 ? 'IPv4 and IPv6' : 'IPv4'})\n`,
  )
}

main().catch((error: unknown) => {
  process.stderr.write(`weft-init: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
})
