// HTTP/2 of the Compat engine, on node:http2: a connection that begins with its preface. The application is asked by HTTP/1.1 all the same.
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import { FAULTS, type FaultCode } from '#flow/error.ts'
import type { HttpServerConnection, HttpServerOptions } from '#flow/stream.ts'
import { Http2Stream, requestFields } from './http2-stream.ts'
import { PlainStream } from './plain-stream.ts'
import { isRequest } from './sendable.ts'

const SETTINGS = { maxConcurrentStreams: 100, maxHeaderListSize: 60 * 1024, enablePush: false }

/** Serves HTTP/2 on the stream until it closes. `head` is what was read before and comes first. */
export function serveCompatHttp2(
  stream: Duplex,
  head: Uint8Array | null,
  options: HttpServerOptions,
): HttpServerConnection {
  return new Http2Connection(new PlainStream(stream, head), options)
}

class Http2Connection implements HttpServerConnection {
  readonly #plain: PlainStream
  readonly #options: HttpServerOptions
  #session: ServerHttp2Session | null = null
  #isDraining = false
  readonly #streams = new Set<Http2Stream>()

  constructor(plain: PlainStream, options: HttpServerOptions) {
    this.#plain = plain
    this.#options = options
    plain.on('close', () => this.#onClose())
    // The caller has its connection before the first request reaches it.
    process.nextTick(() => this.#start())
  }

  get active(): number {
    return this.#streams.size
  }

  #start(): void {
    if (this.#plain.destroyed) return
    const session = performServerHandshake(this.#plain, {
      settings: SETTINGS,
      unknownProtocolTimeout: 10_000,
      // What an application says twice travels twice.
      strictSingleValueFields: false,
    })
    this.#session = session
    session.on('error', () => this.#refuse('BAD_REQUEST', 'an HTTP/2 connection that breaks the rules'))
    session.on('stream', (stream: ServerHttp2Stream, _headers, flags: number, raw: readonly string[]) =>
      this.#take(stream, raw, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0),
    )
    session.on('close', () => this.#plain.destroySoon())
    if (this.#isDraining) session.close()
  }

  #take(stream: ServerHttp2Stream, raw: readonly string[], end: boolean): void {
    const fields = requestFields(raw)
    if (fields[1] === 'CONNECT') return this.#answerRefusal(stream, 'CONNECT_REFUSED', 'CONNECT')
    // Node takes any text for a path and an authority; HTTP/1.1 could not carry it on.
    if (!isRequest(fields, false)) return this.#answerRefusal(stream, 'BAD_REQUEST', 'a path or authority that is none')
    const request = new Http2Stream(stream, () => this.#streams.delete(request))
    this.#streams.add(request)
    this.#options.accept(request)
    request.start(fields, end)
  }

  #answerRefusal(stream: ServerHttp2Stream, code: FaultCode, detail: string): void {
    stream.on('error', () => {})
    stream.respond({ ':status': FAULTS[code].status, 'x-weft-reason': code }, { endStream: true })
    this.#options.onRefused(code, detail)
  }

  #refuse(code: FaultCode, detail: string): void {
    this.#options.onRefused(code, detail)
    this.destroy()
  }

  /** A request that is on its way is refused as not processed, which its client may repeat (RFC 9113 section 6.8). */
  closeAfterNext(): void {
    this.drain()
  }

  drain(): void {
    this.#isDraining = true
    this.#session?.close()
  }

  destroy(): void {
    this.#session?.destroy()
    this.#plain.destroy()
  }

  #onClose(): void {
    this.#session?.destroy()
    for (const stream of this.#streams) stream.onClosed()
    this.#options.onClose()
  }
}
