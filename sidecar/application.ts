// The way from the inbound path to the application of this pod: in the version that its caller spoke, or that its port declares.
import type { UpstreamGroup } from '#flow/route.ts'
import type { Endpoint } from '#flow/upstream.ts'
import { type Address, formatAddress } from '#shared/address.ts'
import type { Clock } from '#shared/clock.ts'
import type { HttpEngine, HttpVersion } from '#shared/decide/config.ts'
import type { SpiffeId } from '#shared/identity/spiffe-id.ts'
import { connectCompat } from './compat/http1-client.ts'
import type { Dialer } from './connect/dial.ts'
import { createHttp1Pool } from './connect/http1-pool.ts'
import { createHttp2Pool, speaksHttp2 } from './connect/http2-pool.ts'
import { connectHttp1 } from './http1/client.ts'
import { connectHttp2 } from './http2/client.ts'

export interface ApplicationParts {
  readonly dial: Dialer
  readonly applicationIdleMs: number
  /** What is declared of a port of ours. */
  readonly httpVersion: (port: number) => HttpVersion | undefined
  readonly clock: Clock
}

export interface Applications {
  /** For one caller: what one leaves on a connection, no other may find. Each engine has connections of its own. */
  of(address: Address, caller: SpiffeId | null, engine?: HttpEngine): UpstreamGroup
}

/** Callers choose ports, so what they fill has an end; whoever still uses a dropped one gets its connections, but shares none. */
const MOST_APPLICATIONS = 1024

interface Application extends UpstreamGroup {
  close(): void
}

export function createApplications(parts: ApplicationParts): Applications {
  const applications = new Map<string, Application>()
  return {
    of(address, caller, engine) {
      const key = `${formatAddress(address)} ${caller ?? ''} ${engine ?? ''}`
      const found = applications.get(key) ?? createApplication(address, engine, parts)
      // The one used last stands last.
      applications.delete(key)
      applications.set(key, found)
      if (applications.size > MOST_APPLICATIONS) dropOldest(applications)
      return found
    },
  }
}

function dropOldest(applications: Map<string, Application>): void {
  for (const [key, application] of applications) {
    applications.delete(key)
    return application.close()
  }
}

/** One endpoint, and nothing to balance or to eject. */
function createApplication(address: Address, engine: HttpEngine | undefined, parts: ApplicationParts): Application {
  const { clock, applicationIdleMs: idleMs } = parts
  const endpoint: Endpoint = { address, weight: 1, identity: null, pod: 'self' }
  const connect = async (to: Endpoint, signal: AbortSignal) => {
    const socket = await parts.dial(to.address, signal)
    socket.on('error', () => {})
    return socket
  }
  const isCompat = engine === 'compat'
  const open = isCompat ? connectCompat : connectHttp1
  const http1 = createHttp1Pool({ connect, open, idleMs, clock })
  const http2 = createHttp2Pool({
    connect: async (to, signal) => ({ stream: await connect(to, signal) }),
    open: (stream) => connectHttp2(stream, { toApplication: true }, clock),
    idleMs,
    lifetimeMs: () => Number.POSITIVE_INFINITY,
    clock,
  })
  http2.use(endpoint)
  return {
    lease: () => ({ endpoint, done() {} }),
    acquire(to, wanted, done) {
      const isHttp2 = !isCompat && speaksHttp2(wanted, parts.httpVersion(address.port))
      return isHttp2 ? http2.acquire(to, done, 0) : http1.acquire(to, done)
    },
    close() {
      http1.close()
      http2.close()
    },
  }
}
