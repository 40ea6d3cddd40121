// Shared HTTP/2 connections by endpoint. An endpoint is kept for as long as somebody uses it: two services may stand on one pod,
// and their requests share its connection.
import type { AcquireDone, Wanted } from '#flow/route.ts'
import type { Endpoint } from '#flow/upstream.ts'
import type { HttpVersion } from '#shared/decide/config.ts'
import { SharedConnections, type SharedSettings } from './shared-connections.ts'

export interface Http2Pool {
  /** Each use needs its release; after the last one what is in flight ends and the connections with it. */
  use(endpoint: Endpoint): void
  release(endpoint: Endpoint): void
  /**
   * Calls done at once when a connection has room; a stream is to be opened during that call. Returns the way to cancel. An endpoint
   * that nobody uses gets a connection that nobody else finds.
   */
  acquire(endpoint: Endpoint, done: AcquireDone, timeoutMs: number): () => void
  /** After a change of identity or trust: every request from now on finds a connection made since. */
  renew(): void
  stats(): Http2PoolStats
  close(): void
}

export interface Http2PoolStats {
  readonly connections: number
  readonly dialling: number
  readonly opened: number
  readonly active: number
}

/** In which version an application is spoken to: the declared one, else the caller's; what may become a tunnel is HTTP/1.1. */
export function speaksHttp2(wanted: Wanted, declared: HttpVersion | undefined): boolean {
  if (wanted === 'upgrade') return false
  return declared === undefined ? wanted === 'http2' : declared === '2'
}

interface Used {
  readonly connections: SharedConnections
  users: number
}

export function createHttp2Pool(options: Omit<SharedSettings, 'counts'>): Http2Pool {
  const counts = { connections: 0, dialling: 0, opened: 0 }
  const settings = { ...options, counts }
  const endpoints = new Map<Endpoint, Used>()
  return {
    use(endpoint) {
      const known = endpoints.get(endpoint)
      if (known !== undefined) known.users++
      else endpoints.set(endpoint, { connections: new SharedConnections(endpoint, settings), users: 1 })
    },
    release(endpoint) {
      const known = endpoints.get(endpoint)
      if (known === undefined || --known.users > 0) return
      endpoints.delete(endpoint)
      known.connections.retire()
    },
    acquire(endpoint, done, timeoutMs) {
      const known = endpoints.get(endpoint)?.connections
      if (known !== undefined) return known.acquire(done, timeoutMs)
      const passing = new SharedConnections(endpoint, settings)
      passing.retire()
      return passing.acquire(done, timeoutMs)
    },
    renew() {
      for (const { connections } of endpoints.values()) connections.renew()
    },
    stats() {
      let active = 0
      for (const { connections } of endpoints.values()) active += connections.active
      return { ...counts, active }
    },
    close() {
      for (const { connections } of endpoints.values()) connections.retire()
      endpoints.clear()
    },
  }
}
