// Builds certs from its parts: root, own certificate, tokens, gRPC; publishes the bundle when all of it stands.
import { Server } from '@grpc/grpc-js'
import type { Address } from '#shared/address.ts'
import { loadContract } from '#shared/contract/load.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import { startPages } from '#shared/pages.ts'
import type { CertsConfig } from './config.ts'
import { createSourceLimit } from './limit.ts'
import { listen } from './listen.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { keepOwnIdentity } from './own-identity.ts'
import { openPlatform, type Platform, type PlatformParts } from './platform.ts'
import { warnOfExpiry } from './root-expiry.ts'
import { createSignHandler } from './service.ts'

export interface Certs {
  readonly addresses: readonly Address[]
  /** Lets calls in flight end. */
  close(): Promise<void>
}

/** A CSR and a token are well below. */
const MAX_MESSAGE_BYTES = 16 * 1024
const IDLE_LIMIT_MS = 30_000

type StartConfig = Omit<CertsConfig, 'logLevel'>

/** Rejects with an Error for people when the root cannot be used or an address cannot be bound. What was opened before is closed. */
export async function startCerts(config: StartConfig, parts: PlatformParts): Promise<Certs> {
  const closers: (() => unknown)[] = []
  // The last opened is closed first.
  const close = async () => {
    for (const closer of closers.splice(0).reverse()) await closer()
  }
  try {
    const addresses = await open(config, parts, (closer) => closers.push(closer))
    return { addresses, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function open(
  config: StartConfig,
  parts: PlatformParts,
  onClose: (closer: () => unknown) => void,
): Promise<readonly Address[]> {
  const { clock, log } = parts
  const { trustDomain, systemNamespace: namespace, svidLifetimeMs: lifetimeMs } = config
  const platform = await openPlatform(config, parts)
  onClose(() => platform.close())
  const { authority } = platform
  const id = formatSpiffeId({ trustDomain, namespace, serviceAccount: 'weft-certs' })
  const own = await keepOwnIdentity({ authority, id, lifetimeMs, clock, log })
  onClose(() => own.close())
  const metrics = createMetrics(authority)
  const server = createSigningServer(config, platform, metrics, parts)
  const listener = await listen({ server, addresses: config.listen, identity: own.identity, log })
  onClose(() => listener.close(config.drainTimeoutMs))
  const pages = await startPages(config.metricsListen, { metrics: metrics.render, isReady: () => true })
  onClose(() => pages[Symbol.asyncDispose]())
  onClose(warnOfExpiry(authority, clock, log))
  platform.publish()
  log.info({ addresses: listener.addresses, id, rootExpiresAt: authority.current.endsAt }, 'certs is ready')
  return listener.addresses
}

function createSigningServer(config: StartConfig, platform: Platform, metrics: Metrics, parts: PlatformParts): Server {
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_connection_idle_ms': IDLE_LIMIT_MS,
    'grpc.max_concurrent_streams': 8,
    'grpc.enable_channelz': 0,
  })
  const limit = createSourceLimit(parts.clock)
  const Sign = createSignHandler({ ...parts, ...platform, limit, lifetimeMs: config.svidLifetimeMs, metrics })
  server.addService(loadContract('certificates').service, { Sign })
  return server
}
