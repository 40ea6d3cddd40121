// Connections that speak HTTP, each served by the codec until it closes; kept together so that a drain reaches all.
import type { Duplex } from 'node:stream'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { RequestEnded } from '#flow/event.ts'
import type { HttpServerConnection, HttpServerOptions } from '#flow/stream.ts'
import type { HttpEngine } from '#shared/decide/config.ts'
import { createCompatServer } from './compat/http1-server.ts'
import { serveCompatHttp2 } from './compat/http2-server.ts'
import { serveHttp1 } from './http1/server.ts'
import { ResetSources } from './http2/resets.ts'
import { type Http2ServerOptions, serveHttp2 } from './http2/server.ts'
import type { ExchangeContext } from './relay/context.ts'
import { acceptExchanges } from './relay/serve.ts'

export interface HttpServing {
  /** Resolves when the connection is closed; never rejects. */
  serve(stream: Duplex, head: Buffer, context: ExchangeContext, options: ServeOptions): Promise<void>
  /**
   * The connections of now end, so that their callers prove themselves anew: those of HTTP/2 at once, which loses nothing, those of HTTP/1.1
   * with their next answer.
   */
  renew(): void
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

export interface ServeOptions {
  readonly protocol: 'http/1.1' | 'h2'
  readonly engine?: HttpEngine | undefined
  /** From then on the caller's identity is no longer proven: what is in flight ends, and nothing further is taken. */
  readonly expiresAt?: Date | undefined
}

/** Streams that the application of this pod, or another sidecar with the requests of many, may have open at once. */
const STREAM_LIMIT = 4096
/** The same for whoever has proven nothing. */
const STRANGERS_STREAM_LIMIT = 256
/** A peer that is gone without a word is noticed after two of these. */
const KEEPALIVE_MS = 10_000
/** As in peers.ts: what one stream moves in a round trip, and what a reader that stands still leaves here. */
const PEER_WINDOW_BYTES = 256 * 1024
const FOR_PEERS: Partial<Http2ServerOptions> = {
  trusted: true,
  streamLimit: STREAM_LIMIT,
  keepaliveMs: KEEPALIVE_MS,
  windowBytes: PEER_WINDOW_BYTES,
  manyResets: 'postpone',
}

export function createHttpServing(): HttpServing {
  const open = new Map<HttpServerConnection, ServeOptions['protocol']>()
  let isLeaving = false
  let requests = 0
  const codecs = createCodecs()
  const onRequest = () => {
    requests++
  }
  return {
    serve: (stream, head, context, options) =>
      new Promise((resolve) => {
        const onClose = () => {
          open.delete(connection)
          resolve()
        }
        const connection = begin(stream, head, context, { ...options, codecs, onRequest, onClose })
        open.set(connection, options.protocol)
        if (isLeaving) connection.closeAfterNext()
      }),
    renew() {
      for (const [connection, protocol] of open) {
        if (protocol === 'h2') connection.drain()
        else connection.closeAfterNext()
      }
    },
    closeAfterNext() {
      isLeaving = true
      for (const connection of open.keys()) connection.closeAfterNext()
    },
    drain() {
      isLeaving = true
      for (const connection of open.keys()) connection.drain()
    },
    count() {
      let active = 0
      for (const connection of open.keys()) active += connection.active
      return { connections: open.size, active, requests }
    },
    destroy() {
      for (const connection of open.keys()) connection.destroy()
    },
  }
}

type Codec = (stream: Duplex, head: Buffer, options: HttpServerOptions) => HttpServerConnection

interface Codecs {
  readonly strict: (context: ExchangeContext) => Readonly<Record<ServeOptions['protocol'], Codec>>
  readonly compat: Readonly<Record<ServeOptions['protocol'], Codec>>
}

function createCodecs(): Codecs {
  let sources: ResetSources | undefined
  // One of Node's servers for all connections, made when the first is there: few have a use for it.
  let http1: ReturnType<typeof createCompatServer> | undefined
  return {
    strict: (context) => ({
      'http/1.1': serveHttp1,
      h2(stream, head, options) {
        sources ??= new ResetSources(context.clock)
        return serveHttp2(stream, head, { ...options, ...http2OptionsFor(context, sources) }, context.clock)
      },
    }),
    compat: {
      'http/1.1'(stream, head, options) {
        http1 ??= createCompatServer()
        return http1.serve(stream, head, options)
      },
      h2: serveCompatHttp2,
    },
  }
}

interface BeginOptions extends ServeOptions {
  readonly codecs: Codecs
  readonly onRequest: () => void
  readonly onClose: () => void
}

function begin(stream: Duplex, head: Buffer, context: ExchangeContext, options: BeginOptions): HttpServerConnection {
  const { protocol, engine, expiresAt, codecs } = options
  const accept = acceptExchanges(context)
  let cancelExpiry = () => {}
  const served: HttpServerOptions = {
    accept(request) {
      options.onRequest()
      accept(request)
    },
    onRefused: (code, detail) => context.emit(refusedRequest(context, protocol, { code, detail })),
    onClose() {
      cancelExpiry()
      options.onClose()
    },
  }
  const engines = engine === 'compat' ? codecs.compat : codecs.strict(context)
  const connection = engines[protocol](stream, head, served)
  if (expiresAt !== undefined) {
    const leftMs = Math.max(0, expiresAt.getTime() - context.clock.wall())
    // Its caller has renewed its certificate long before, and dials anew: an idle connection is of no use to an honest one.
    cancelExpiry = context.clock.after(leftMs, () => connection.drain())
  }
  return connection
}

function http2OptionsFor(
  { direction, isPeer, source }: ExchangeContext,
  sources: ResetSources,
): Partial<Http2ServerOptions> {
  if (isPeer) return FOR_PEERS
  const resetSource = sources.of(source?.host ?? '')
  if (direction === 'outbound') return { streamLimit: STREAM_LIMIT, manyResets: 'slow', resetSource }
  return { streamLimit: STRANGERS_STREAM_LIMIT, manyResets: 'end', resetSource }
}

/** A request that the codec refused has no method or path that could be trusted. */
function refusedRequest(
  context: ExchangeContext,
  protocol: ServeOptions['protocol'],
  { code, detail }: { readonly code: FaultCode; readonly detail: string },
): RequestEnded {
  const { direction, service, destination, source, peer, clock } = context
  const version = protocol === 'h2' ? '2' : '1.1'
  const nothing = {
    grpcStatus: null,
    method: '',
    authority: '',
    path: '',
    route: null,
    endpoint: null,
    userAgent: null,
    traceId: null,
  }
  const counts = { durationMs: 0, requestBytes: 0, responseBytes: 0, attempts: 0 }
  const startedAt = clock.wall()
  const base = { kind: 'request', direction, service, destination, source, peer, version, startedAt } as const
  return { ...base, ...nothing, ...counts, status: FAULTS[code].status, reason: code, detail }
}
