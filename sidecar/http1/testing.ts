// For the tests of this folder: real sockets around the codec, and what it told, kept to look at.
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import type { FaultCode } from '#flow/error.ts'
import { Heard } from '#flow/heard.fixture.ts'
import { listen } from '#flow/listen.fixture.ts'
import type { Fields, HttpClientConnection, HttpServerConnection, HttpStream } from '#flow/stream.ts'
import type { Clock } from '#shared/clock.ts'
import { connectHttp1 } from './client.ts'
import { serveHttp1 } from './server.ts'

export interface Request extends Heard {
  readonly stream: HttpStream
}

export interface CodecServer extends AsyncDisposable {
  readonly port: number
  readonly connections: HttpServerConnection[]
  readonly requests: Request[]
  readonly refused: { code: FaultCode; detail: string }[]
  closed: number
  /** Resolves with the request of that number once its accept was called. */
  request(index: number): Promise<Request>
  /** Resolves once a connection has told its end. */
  untilClosed(): Promise<void>
}

export interface CodecServerOptions {
  /** Called at the end of each request; the default leaves it to the test. */
  readonly answer?: (request: Request) => void
  readonly clock?: Clock
  readonly head?: Uint8Array
  readonly drainAtOnce?: boolean
}

/** Serves each accepted connection with the codec. */
export async function startCodecServer(options: CodecServerOptions = {}): Promise<CodecServer> {
  const waiting: { index: number; resolve: (request: Request) => void }[] = []
  const closed = Promise.withResolvers<void>()
  const server = await listen((socket) => {
    const connection = serveHttp1(
      socket,
      options.head ?? null,
      {
        accept(stream) {
          const request: Request = Object.assign(new Heard(), { stream })
          stream.events = request
          codec.requests.push(request)
          void request.ended().then(() => (request.reset === null ? options.answer?.(request) : undefined))
          for (const waiter of waiting)
            if (waiter.index < codec.requests.length) waiter.resolve(codec.requests[waiter.index] as Request)
        },
        onRefused: (code, detail) => codec.refused.push({ code, detail }),
        onClose: () => {
          codec.closed++
          closed.resolve()
        },
      },
      options.clock,
    )
    codec.connections.push(connection)
    if (options.drainAtOnce === true) connection.drain()
  })
  const codec: CodecServer = {
    port: server.port,
    connections: [],
    requests: [],
    refused: [],
    closed: 0,
    request: (index) => {
      const known = codec.requests[index]
      return known === undefined ? new Promise((resolve) => waiting.push({ index, resolve })) : Promise.resolve(known)
    },
    untilClosed: () => closed.promise,
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
  return codec
}

/** Answers 200 with the method, the path and the body as text. */
export function echo(request: Request): void {
  const body = Buffer.from(`${request.head[1]} ${request.head[7]} ${request.body}`, 'latin1')
  request.stream.sendHead([':status', '200', 'Content-Length', String(body.length)], false)
  request.stream.sendData(body, 0, body.length, true)
}

/** A bare client: what it received so far, and ways to wait for more. */
export class RawClient implements AsyncDisposable {
  readonly socket: Socket
  received = ''
  isEnded = false
  isClosed = false
  readonly #changed = new Set<() => void>()

  constructor(socket: Socket) {
    this.socket = socket
    const tell = () => {
      for (const listener of [...this.#changed]) listener()
    }
    socket.on('error', () => {})
    socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      tell()
    })
    socket.on('end', () => {
      this.isEnded = true
      tell()
    })
    socket.on('close', () => {
      this.isClosed = true
      tell()
    })
  }

  static async connect(port: number): Promise<RawClient> {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
    await once(socket, 'connect')
    return new RawClient(socket)
  }

  send(text: string): this {
    this.socket.write(text, 'latin1')
    return this
  }

  async until(holds: () => boolean): Promise<string> {
    while (!holds()) {
      if (this.isClosed) throw new Error(`closed after ${JSON.stringify(this.received.slice(0, 400))}`)
      await new Promise<void>((resolve) => {
        const once = () => {
          this.#changed.delete(once)
          resolve()
        }
        this.#changed.add(once)
      })
    }
    return this.received
  }

  untilIncludes(text: string): Promise<string> {
    return this.until(() => this.received.includes(text))
  }

  /** All that came until the peer ended. */
  async untilEnd(): Promise<string> {
    await this.until(() => this.isEnded || this.isClosed)
    return this.received
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.destroy()
    if (!this.isClosed) await once(this.socket, 'close')
  }
}

export interface CodecClient extends AsyncDisposable {
  readonly connection: HttpClientConnection
  /** The server's end. */
  readonly peer: RawClient
  idle: number
  gone: number
  /** Resolves once onGone was called. */
  isGone(): Promise<void>
  /** Sends a request without a body and returns what is heard. */
  get(fields?: Fields): Heard & { stream: HttpStream }
  open(): Heard & { stream: HttpStream }
}

/** The codec's client on a real connection, whose other end the test holds. */
export async function startCodecClient(): Promise<CodecClient> {
  const { promise, resolve } = Promise.withResolvers<Socket>()
  const server = await listen(resolve)
  const socket = connect({ port: server.port, host: '127.0.0.1' })
  await once(socket, 'connect')
  const peer = new RawClient(await promise)
  const gone = Promise.withResolvers<void>()
  const connection = connectHttp1(socket)
  const client: CodecClient = {
    connection,
    peer,
    idle: 0,
    gone: 0,
    isGone: () => gone.promise,
    open() {
      const heard = new Heard()
      return Object.assign(heard, { stream: connection.open(heard) })
    },
    get(fields = requestTo('/')) {
      const opened = client.open()
      opened.stream.sendHead(fields, true)
      return opened
    },
    async [Symbol.asyncDispose]() {
      connection.destroy()
      await server[Symbol.asyncDispose]()
    },
  }
  connection.onIdle = () => client.idle++
  connection.onGone = () => {
    client.gone++
    gone.resolve()
  }
  return client
}

export function requestTo(path: string, method = 'GET', ...fields: string[]): Fields {
  return [':method', method, ':scheme', 'http', ':authority', 'shop', ':path', path, ...fields]
}
