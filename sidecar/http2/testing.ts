// For the tests of this folder: the codec on real sockets, Node's own HTTP/2 at the other end, and what was told kept to look at.
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type ClientSessionOptions,
  connect as connectNode,
  createServer as createNodeServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from 'node:http2'
import { connect } from 'node:net'
import type { FaultCode } from '#flow/error.ts'
import { Heard } from '#flow/heard.fixture.ts'
import { listen } from '#flow/listen.fixture.ts'
import type { Fields, HttpServerConnection, HttpStream, SharedClientConnection } from '#flow/stream.ts'
import type { Clock } from '#shared/clock.ts'
import { connectHttp2 } from './client.ts'
import type { Http2Options } from './connection.ts'
import { type Http2ServerOptions, serveHttp2 } from './server.ts'

export type Half = Heard & { readonly stream: HttpStream }

export interface CodecServer extends AsyncDisposable {
  readonly port: number
  readonly connections: HttpServerConnection[]
  readonly requests: Half[]
  readonly refused: { code: FaultCode; detail: string }[]
  closed: number
  /** Resolves with the request of that number once it was accepted. */
  request(index: number): Promise<Half>
  /** Resolves once it holds; it is asked after each request and each end of a connection. */
  until(holds: () => boolean): Promise<void>
}

export interface CodecServerOptions extends Partial<Http2ServerOptions> {
  /** Called when a request has come whole; the default leaves it to the test. */
  readonly answer?: (request: Half) => void
  readonly clock?: Clock
}

export async function startCodecServer(options: CodecServerOptions = {}): Promise<CodecServer> {
  const waiting = new Set<{ holds: () => boolean; resolve: () => void }>()
  const tell = () => {
    for (const waiter of waiting) {
      if (!waiter.holds()) continue
      waiting.delete(waiter)
      waiter.resolve()
    }
  }
  const listener = await listen((socket) => {
    const served: Http2ServerOptions = {
      ...options,
      accept(stream) {
        const half: Half = Object.assign(new Heard(), { stream })
        stream.events = half
        server.requests.push(half)
        void half.ended().then(() => (half.reset === null ? options.answer?.(half) : undefined))
        tell()
      },
      onRefused(code, detail) {
        server.refused.push({ code, detail })
        tell()
      },
      onClose() {
        server.closed++
        tell()
      },
    }
    server.connections.push(serveHttp2(socket, null, served, options.clock))
  })
  const server: CodecServer = {
    port: listener.port,
    connections: [],
    requests: [],
    refused: [],
    closed: 0,
    async request(index) {
      await server.until(() => server.requests.length > index)
      return server.requests[index] as Half
    },
    async until(holds) {
      if (!holds()) await new Promise<void>((resolve) => waiting.add({ holds, resolve }))
    },
    [Symbol.asyncDispose]: () => listener[Symbol.asyncDispose](),
  }
  return server
}

/** Answers 200 with the method, the path and the body as text. */
export function echo({ stream, head, body }: Half): void {
  const text = Buffer.from(`${head[1]} ${head[7]} ${body}`, 'latin1')
  stream.sendHead([':status', '200', 'content-length', String(text.length)], false)
  stream.sendData(text, 0, text.length, true)
}

/** Sends back what comes, as fast as it is taken. */
export function echoAsItComes(half: Half): void {
  const { stream } = half
  half.onHead = (fields, end) => {
    half.heads.push(fields)
    stream.sendHead([':status', '200'], end)
  }
  half.onData = (bytes, from, to, end) => {
    if (!stream.sendData(bytes, from, to, end)) stream.pause()
  }
  half.onTrailers = (fields) => stream.sendTrailers(fields)
  half.onDrain = () => stream.resume()
}

// ---- Node's client

export interface NodeClient extends AsyncDisposable {
  readonly session: ClientHttp2Session
  request(headers: OutgoingHttpHeaders, body?: Buffer): ClientHttp2Stream
  get(path: string, headers?: OutgoingHttpHeaders): Promise<NodeAnswer>
}

export interface NodeAnswer {
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
  readonly trailers: IncomingHttpHeaders
}

export function connectNodeClient(port: number, options: ClientSessionOptions = {}): NodeClient {
  const session = connectNode(`http://127.0.0.1:${port}`, options)
  session.on('error', () => {})
  const client: NodeClient = {
    session,
    request(headers, body) {
      const stream = session.request(headers, { endStream: body === undefined })
      stream.on('error', () => {})
      if (body !== undefined) stream.end(body)
      return stream
    },
    get: (path, headers = {}) => answerOf(client.request({ ':path': path, ...headers })),
    async [Symbol.asyncDispose]() {
      if (session.closed && session.destroyed) return
      session.destroy()
      if (!session.destroyed) await once(session, 'close')
    },
  }
  return client
}

/** Resolves once the stream is closed, with or without an error. */
export function untilClosed(stream: ClientHttp2Stream | ServerHttp2Stream): Promise<void> {
  return new Promise((resolve) => {
    if (stream.closed && stream.destroyed) resolve()
    else stream.once('close', resolve)
  })
}

/** Rejects when the stream ends with an error. */
export function answerOf(stream: ClientHttp2Stream): Promise<NodeAnswer> {
  return new Promise((resolve, reject) => {
    let headers: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    const chunks: Buffer[] = []
    stream.on('response', (received) => {
      headers = received
    })
    stream.on('trailers', (received) => {
      trailers = received
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () => resolve({ headers, body: Buffer.concat(chunks), trailers }))
  })
}

// ---- Node's server

export interface NodeServer extends AsyncDisposable {
  readonly server: Http2Server
  readonly port: number
  readonly sessions: ServerHttp2Session[]
  readonly streams: ServerHttp2Stream[]
  /** Resolves with the request of that number once it has come. */
  stream(index: number): Promise<ServerHttp2Stream>
}

/** `answer` is called with each request; the default leaves it to the test. */
export async function startNodeServer(
  answer: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void = () => {},
  options: ServerOptions = {},
): Promise<NodeServer> {
  const server = createNodeServer(options)
  const sessions: ServerHttp2Session[] = []
  server.on('session', (session) => {
    sessions.push(session)
    session.on('error', () => {})
  })
  const streams: ServerHttp2Stream[] = []
  const waiting = new Set<() => void>()
  server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
    streams.push(stream)
    stream.on('error', () => {})
    answer(stream, headers)
    for (const check of waiting) check()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    server,
    port: address.port,
    sessions,
    streams,
    async stream(index) {
      while (streams.length <= index) {
        await new Promise<void>((resolve) => {
          const check = () => {
            waiting.delete(check)
            resolve()
          }
          waiting.add(check)
        })
      }
      return streams[index] as ServerHttp2Stream
    },
    async [Symbol.asyncDispose]() {
      for (const session of sessions) session.destroy()
      server.close()
      await once(server, 'close')
    },
  }
}

// ---- the codec's client

export interface CodecClient extends AsyncDisposable {
  readonly connection: SharedClientConnection
  /** What the connection told, in order. */
  readonly told: string[]
  open(): Half
  send(fields: Fields, end?: boolean): Half
  untilTold(word: string): Promise<void>
}

export async function connectCodecClient(port: number, options?: Http2Options, clock?: Clock): Promise<CodecClient> {
  const socket = connect({ port, host: '127.0.0.1' })
  await once(socket, 'connect')
  const connection = connectHttp2(socket, options, clock)
  const waiting = new Set<() => void>()
  const told: string[] = []
  const tell = (word: string) => () => {
    told.push(word)
    for (const check of waiting) check()
  }
  connection.onIdle = tell('idle')
  connection.onCapacity = tell('capacity')
  connection.onLeaving = tell('leaving')
  connection.onGone = tell('gone')
  const client: CodecClient = {
    connection,
    told,
    open() {
      const heard = new Heard()
      return Object.assign(heard, { stream: connection.open(heard) })
    },
    send(fields, end = true) {
      const half = client.open()
      half.stream.sendHead(fields, end)
      return half
    },
    async untilTold(word) {
      while (!told.includes(word)) {
        await new Promise<void>((resolve) => {
          const check = () => {
            waiting.delete(check)
            resolve()
          }
          waiting.add(check)
        })
      }
    },
    async [Symbol.asyncDispose]() {
      connection.destroy()
      await client.untilTold('gone')
    },
  }
  return client
}

export function requestTo(path: string, method = 'GET', ...fields: string[]): Fields {
  return [':method', method, ':scheme', 'http', ':authority', 'shop', ':path', path, ...fields]
}
