// Builds certs from its parts: root, own certificate, tokens, gRPC; publishes the bundle when all of it stands.
import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { Server } from '@grpc/grpc-js'
import type { Address } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import { loadContract } from '#shared/contract/load.ts'
import { formatSpiffeId } from '#shared/identity/spiffe-id.ts'
import type { Log } from '#shared/log.ts'
import { createTokenAttestor } from './attest.ts'
import { openAuthority, writeWhole } from './authority.ts'
import type { CertsConfig } from './config.ts'
import { createSourceLimit } from './limit.ts'
import { listen } from './listen.ts'
import { keepOwnIdentity } from './own-identity.ts'
import { createSignHandler } from './service.ts'

export interface Certs {
  readonly addresses: readonly Address[]
  /** Lets calls in flight end. */
  close(): Promise<void>
}

export interface CertsSurroundings {
  readonly clock: Clock
  readonly log: Log
}

/** A CSR and a token are well below. */
const MAX_MESSAGE_BYTES = 16 * 1024
const IDLE_LIMIT_MS = 30_000

type StartConfig = Omit<CertsConfig, 'logLevel'>

/** Rejects with an Error for people when the root cannot be used or an address cannot be bound. */
export async function startCerts(config: StartConfig, { clock, log }: CertsSurroundings): Promise<Certs> {
  const { trustDomain, stateDir, svidLifetimeMs: lifetimeMs } = config
  const authority = await openAuthority({ stateDir, trustDomain, wallMs: clock.wall() })
  const id = formatSpiffeId({ trustDomain, namespace: 'weft-system', serviceAccount: 'weft-certs' })
  const own = await keepOwnIdentity({ authority, id, lifetimeMs, clock, log })
  const attestor = createTokenAttestor(config.tokensFile, log)
  const server = new Server({
    'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
    'grpc.max_connection_idle_ms': IDLE_LIMIT_MS,
    'grpc.max_concurrent_streams': 8,
    'grpc.enable_channelz': 0,
  })
  const limit = createSourceLimit(clock)
  const Sign = createSignHandler({ authority, attestor, limit, lifetimeMs, clock, log })
  server.addService(loadContract('certificates').service, { Sign })
  const onRefused = (source: string, reason: string) => log.warn({ source, reason }, 'refused a connection')
  const listener = await listen({ server, addresses: config.listen, identity: own.identity, onRefused }).catch(
    (error: unknown) => {
      own.close()
      throw error
    },
  )
  mkdirSync(dirname(config.bundleFile), { recursive: true })
  writeWhole(config.bundleFile, authority.bundle, 0o644)
  log.info({ addresses: listener.addresses, id, rootExpiresAt: authority.root.notAfter }, 'certs is ready')
  return {
    addresses: listener.addresses,
    async close() {
      own.close()
      await listener.close(config.drainTimeoutMs)
    },
  }
}
