// Keeps connections to endpoints open between requests: the one used last is used next, so that the others grow old and
// are closed. A request that finds none idle takes whichever comes first: the one dialled for it, or one given back.
import type { Duplex } from 'node:stream'
import type { AcquireDone } from '#flow/route.ts'
import type { HttpClientConnection } from '#flow/stream.ts'
import type { Connector, Endpoint } from '#flow/upstream.ts'
import type { Clock } from '#shared/clock.ts'
import { EndpointConnections } from './endpoint-connections.ts'

export interface ConnectionPool {
  /**
   * Calls done at once when an idle connection exists; the connection is to be opened during that call, else it goes
   * back to the idle ones. Returns the way to cancel: what was being dialled is then kept for others.
   */
  acquire(endpoint: Endpoint, done: AcquireDone): () => void
  /** For an endpoint that is gone: its idle connections are closed, the others after their request. */
  dropEndpoint(endpoint: Endpoint): void
  /** After a change of identity or trust: every request from now on finds a connection made since. */
  closeIdle(): void
  stats(): PoolStats
  /** Keeps nothing from now on. Requests that still hold it get their connections: a new configuration fails nobody. */
  close(): void
}

export interface PoolStats {
  readonly idle: number
  readonly active: number
  readonly dialling: number
  /** Since the start. */
  readonly opened: number
  readonly reused: number
}

export interface Http1PoolOptions {
  readonly connect: Connector
  readonly open: (stream: Duplex) => HttpClientConnection
  readonly idleMs: number
  /** Default 128. */
  readonly maxIdlePerEndpoint?: number
  readonly clock: Clock
}

export function createHttp1Pool(options: Http1PoolOptions): ConnectionPool {
  const endpoints = new Map<Endpoint, EndpointConnections>()
  const counts = { active: 0, dialling: 0, idle: 0, opened: 0, reused: 0 }
  const settings = { maxIdlePerEndpoint: 128, ...options, counts }
  let isClosed = false
  const connectionsOf = (endpoint: Endpoint): EndpointConnections => {
    const known = endpoints.get(endpoint)
    if (known !== undefined) return known
    const made = new EndpointConnections(endpoint, settings)
    if (isClosed) made.retire()
    else endpoints.set(endpoint, made)
    return made
  }
  const retireAll = () => {
    for (const connections of endpoints.values()) connections.retire()
    endpoints.clear()
  }
  return {
    acquire: (endpoint, done) => connectionsOf(endpoint).acquire(done),
    dropEndpoint(endpoint) {
      endpoints.get(endpoint)?.retire()
      endpoints.delete(endpoint)
    },
    closeIdle() {
      for (const connections of endpoints.values()) connections.renew()
    },
    stats: () => ({ ...counts }),
    close() {
      isClosed = true
      retireAll()
    },
  }
}
