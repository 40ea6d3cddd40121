// The accepting side of the Compat engine: node:http behind the same streams as our own codecs, for clients whose HTTP/1.1 those
// refuse. Requests of a connection are told one after the other, as http1/ does. HTTP/2 is ours also here (http2-server.ts).
import { type IncomingMessage, Server, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { refusalText } from '#flow/refusal.ts'
import type { Fields, HttpServerConnection, HttpServerOptions } from '#flow/stream.ts'
import { PlainStream } from './plain-stream.ts'
import { Refusal, refusalOf } from './refusal.ts'
import { isUpgrade, requestFields } from './request-fields.ts'
import { ServerStream, type ServerStreamOwner } from './server-stream.ts'
import { UpgradeStream } from './upgrade-stream.ts'

export const HEAD_LIMIT_BYTES = 60 * 1024
const HEAD_TIMEOUT_MS = 10_000

export interface CompatServer {
  /** Serves HTTP/1.1 and 1.0 on the stream until it closes. `head` is what was read before and comes first. */
  serve(stream: Duplex, head: Uint8Array | null, options: HttpServerOptions): HttpServerConnection
}

/** One for all connections of a sidecar: it listens nowhere, and is handed each. */
export function createCompatServer(headTimeoutMs = HEAD_TIMEOUT_MS): CompatServer {
  const connections = new WeakMap<Duplex, CompatConnection>()
  const server = new Server({
    maxHeaderSize: HEAD_LIMIT_BYTES,
    headersTimeout: headTimeoutMs,
    connectionsCheckingInterval: Math.ceil(headTimeoutMs / 10),
    requestTimeout: 0,
    keepAliveTimeout: 0,
    requireHostHeader: false,
    shouldUpgradeCallback: isUpgrade,
  })
  // Node would drop further fields without a word; we count them.
  server.maxHeadersCount = 0
  // Else Node ends our side as soon as the client has ended its own, and the answer is lost.
  Object.assign(server, { httpAllowHalfOpen: true })
  const of = ({ socket }: IncomingMessage) => connections.get(socket)
  const take = (request: IncomingMessage, response: ServerResponse) => of(request)?.take(request, response)
  for (const event of ['request', 'checkContinue', 'checkExpectation'] as const) server.on(event, take)
  server.on('upgrade', (request: IncomingMessage, _socket: Duplex, head: Buffer) => of(request)?.upgrade(request, head))
  server.on('connect', (request: IncomingMessage) => of(request)?.refuse(new Refusal('CONNECT_REFUSED')))
  server.on('clientError', (error, socket) => connections.get(socket)?.onClientError(error))
  // Without a port to listen on Node does not look at its deadlines, unless it believes that it listens.
  server.emit('listening')
  return {
    serve(stream, head, options) {
      const plain = new PlainStream(stream, head)
      const connection = new CompatConnection(plain, options)
      connections.set(plain, connection)
      // The caller has its connection before the first request reaches it.
      process.nextTick(() => server.emit('connection', plain))
      return connection
    },
  }
}

interface Waiting {
  readonly stream: ServerStream
  readonly fields: Fields
  readonly response: ServerResponse
}

class CompatConnection implements HttpServerConnection, ServerStreamOwner {
  readonly #plain: PlainStream
  readonly #options: HttpServerOptions
  #current: ServerStream | UpgradeStream | null = null
  #response: ServerResponse | null = null
  #last: ServerResponse | null = null
  /** Node reads ahead of what has been answered. */
  readonly #waiting: Waiting[] = []
  /** Of what came behind requests that are still to be answered. */
  #refusal: Refusal | null = null
  #isDraining = false
  #isClosing = false

  constructor(plain: PlainStream, options: HttpServerOptions) {
    this.#plain = plain
    this.#options = options
    plain.on('end', () => this.#onEnd())
    plain.on('close', () => this.#onClose())
  }

  get active(): number {
    return this.#current === null ? 0 : 1
  }

  closeAfterNext(): void {
    this.#isDraining = true
    if (this.#response !== null) this.#response.shouldKeepAlive = false
  }

  drain(): void {
    this.closeAfterNext()
    // A request may have begun: then the connection ends with its answer.
    if (this.#current === null && this.#plain.isQuiet) this.#close()
  }

  destroy(): void {
    this.#plain.destroy()
  }

  take(request: IncomingMessage, response: ServerResponse): void {
    if (this.#isClosing) return
    try {
      const fields = requestFields(request, false)
      // Node drops what has come behind it, in the middle of a message too: what follows would be read from there.
      if (request.headers.upgrade !== undefined) response.shouldKeepAlive = false
      this.#waiting.push({ stream: new ServerStream(this, request, response), fields, response })
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return this.refuse(error)
    }
    if (this.#current === null) this.#next()
  }

  #next(): void {
    const next = this.#waiting.shift()
    if (next === undefined) {
      if (this.#refusal !== null) this.refuse(this.#refusal)
      return
    }
    const { stream, fields, response } = next
    this.#current = stream
    this.#response = this.#last = response
    if (this.#isDraining) response.shouldKeepAlive = false
    this.#options.accept(stream)
    if (!stream.isOver) stream.start(fields)
    // The rest of its body broke the rules before its turn came.
    if (this.#refusal !== null && this.#waiting.length === 0 && !stream.isReceived) this.refuse(this.#refusal)
  }

  /** Node hands over an upgrade when all before it has been answered. */
  upgrade(request: IncomingMessage, head: Buffer): void {
    if (this.#isClosing) return
    try {
      const fields = requestFields(request, true)
      const stream = new UpgradeStream(this.#plain, head, () => this.destroy())
      this.#current = stream
      this.#options.accept(stream)
      if (!stream.isOver) stream.events.onHead(fields, true)
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      this.refuse(error)
    }
  }

  onOver(stream: ServerStream, closes: boolean): void {
    if (stream !== this.#current) return
    const response = this.#response
    this.#current = this.#response = null
    this.#plain.isQuiet = this.#waiting.length === 0
    if (closes) return stream.endsWithClose ? this.#plain.cut() : this.destroy()
    if (response !== null && (this.#isDraining || !response.shouldKeepAlive)) return this.#closeAfter(response)
    // Not within the call that ended the former one.
    process.nextTick(() => {
      if (this.#current === null && !this.#isClosing) this.#next()
    })
  }

  onClientError(error: Error): void {
    const refusal = refusalOf(error)
    if (refusal === 'gone') this.destroy()
    else if (refusal !== 'late') this.refuse(refusal)
  }

  onBadTrailers(): void {
    // What Node has read behind a message that is none is none either.
    this.#waiting.length = 0
    this.refuse(new Refusal('BAD_REQUEST', 'a framing or routing field in the trailers'))
  }

  onUnread(): void {
    this.#close()
  }

  refuse(refusal: Refusal): void {
    if (this.#isClosing) return
    const { code, message } = refusal
    const stream = this.#current
    const isBehind = this.#waiting.length > 0 || (stream instanceof ServerStream && stream.isReceived)
    this.#refusal = refusal
    if (isBehind) return
    const last = this.#last
    // Node may still hold answers that come first.
    if (last !== null && last !== this.#response && !last.writableFinished) {
      last.once('finish', () => this.refuse(refusal))
      return
    }
    this.#options.onRefused(code, message)
    this.#current = null
    if (stream?.hasSentHead === true) this.destroy()
    else {
      this.#plain.write(refusalText(code, message))
      this.#close()
    }
    if (stream === null || stream.isOver) return
    stream.isOver = true
    stream.events.onReset('protocol')
  }

  /** Node may still hold bytes of it, and of answers before it. */
  #closeAfter(response: ServerResponse): void {
    if (response.writableFinished) return this.#close()
    this.#isClosing = true
    response.once('finish', () => this.#plain.destroySoon())
  }

  /** Ending one's half is how clients leave. Only one that has said that this is its last request may just have no more to say. */
  #onEnd(): void {
    const stream = this.#current
    if (!(stream instanceof ServerStream) || this.#isClosing) return
    const last = this.#waiting.at(-1)?.response ?? this.#response
    if (!stream.isReceived || last?.shouldKeepAlive !== false) this.destroy()
  }

  /** Ends our side, and the connection once the peer has ended its own or the time to linger is over. */
  #close(): void {
    if (this.#isClosing) return
    this.#isClosing = true
    this.#plain.destroySoon()
  }

  #onClose(): void {
    this.#isClosing = true
    const stream = this.#current
    this.#current = null
    stream?.onClosed()
    this.#options.onClose()
  }
}
