// Connections that speak HTTP/1.1, each served by the codec until it closes; kept together so that a drain reaches all.
import type { Duplex } from 'node:stream'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { RequestEnded } from '#flow/event.ts'
import type { HttpServerConnection } from '#flow/stream.ts'
import { serveHttp1 } from './http1/server.ts'
import type { ExchangeContext } from './relay/exchange.ts'
import { acceptExchanges } from './relay/serve.ts'

export interface HttpServing {
  /** Resolves when the connection is closed; never rejects. */
  serve(stream: Duplex, head: Buffer, context: ExchangeContext): Promise<void>
  /** Says Connection: close on every connection and closes each once nothing is in flight; also those that come later. */
  drain(): void
  /** Connections that are open, and requests in flight on them. */
  count(): { readonly connections: number; readonly active: number }
  destroy(): void
}

export function createHttpServing(): HttpServing {
  const open = new Set<HttpServerConnection>()
  let isDraining = false
  return {
    serve: (stream, head, context) =>
      new Promise((resolve) => {
        const connection = serveHttp1(stream, head, {
          accept: acceptExchanges(context),
          onRefused: (code, detail) => context.emit(refusedRequest(context, code, detail)),
          onClose: () => {
            open.delete(connection)
            resolve()
          },
        })
        open.add(connection)
        if (isDraining) connection.drain()
      }),
    drain() {
      isDraining = true
      for (const connection of open) connection.drain()
    },
    count() {
      let active = 0
      for (const connection of open) active += connection.active
      return { connections: open.size, active }
    },
    destroy() {
      for (const connection of open) connection.destroy()
    },
  }
}

/** A request that the codec refused has no method or path that could be trusted. */
function refusedRequest(context: ExchangeContext, code: FaultCode, detail: string): RequestEnded {
  const { direction, service, destination, source, peer, clock } = context
  const nothing = { method: '', authority: '', path: '', route: null, endpoint: null, userAgent: null, traceId: null }
  const counts = { durationMs: 0, requestBytes: 0, responseBytes: 0, attempts: 0 }
  const startedAt = clock.wall()
  const base = { kind: 'request', direction, service, destination, source, peer, version: '1.1', startedAt } as const
  return { ...base, ...nothing, ...counts, status: FAULTS[code].status, reason: code, detail }
}
