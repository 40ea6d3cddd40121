// Connections that speak HTTP/1.1, each served by the codec until it closes; kept together so that a drain reaches all.
import type { Duplex } from 'node:stream'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { RequestEnded } from '#flow/event.ts'
import type { HttpServerConnection } from '#flow/stream.ts'
import { serveHttp1 } from './http1/server.ts'
import type { ExchangeContext } from './relay/context.ts'
import { acceptExchanges } from './relay/serve.ts'

export interface HttpServing {
  /** Resolves when the connection is closed; never rejects. */
  serve(stream: Duplex, head: Buffer, context: ExchangeContext): Promise<void>
  /**
   * From now on every connection, also one that comes later, is closed after its next answer. Idle ones stay: a caller that has
   * not heard may be sending a POST on one at this moment, which could not be repeated if it were closed.
   */
  closeAfterNext(): void
  /** The same, and idle connections are closed. */
  drain(): void
  /** Connections that are open, requests in flight on them, and requests since the start. */
  count(): { readonly connections: number; readonly active: number; readonly requests: number }
  destroy(): void
}

export function createHttpServing(): HttpServing {
  const open = new Set<HttpServerConnection>()
  let isLeaving = false
  let requests = 0
  return {
    serve: (stream, head, context) =>
      new Promise((resolve) => {
        const accept = acceptExchanges(context)
        const connection = serveHttp1(stream, head, {
          accept(request) {
            requests++
            accept(request)
          },
          onRefused: (code, detail) => context.emit(refusedRequest(context, code, detail)),
          onClose: () => {
            open.delete(connection)
            resolve()
          },
        })
        open.add(connection)
        if (isLeaving) connection.closeAfterNext()
      }),
    closeAfterNext() {
      isLeaving = true
      for (const connection of open) connection.closeAfterNext()
    },
    drain() {
      isLeaving = true
      for (const connection of open) connection.drain()
    },
    count() {
      let active = 0
      for (const connection of open) active += connection.active
      return { connections: open.size, active, requests }
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
