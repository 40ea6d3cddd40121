// Applications and clients that speak HTTP/2 by Node's own implementation, which is none of ours.
import { once } from 'node:events'
import {
  type ClientHttp2Session,
  connect,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import type { AddressInfo } from 'node:net'

export interface Http2App extends AsyncDisposable {
  readonly port: number
  readonly server: Http2Server
  /** Connections that it has taken so far. */
  readonly sessions: () => number
}

export type Answerer = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void

export async function startHttp2App(answer: Answerer, settings = {}): Promise<Http2App> {
  const server = createServer({ settings })
  let sessions = 0
  const open = new Set<{ destroy(): void }>()
  server.on('session', (session) => {
    sessions++
    open.add(session)
    session.on('close', () => open.delete(session))
  })
  server.on('stream', (stream: ServerHttp2Stream, headers) => {
    stream.on('error', () => {})
    answer(stream, headers)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    server,
    port: (server.address() as AddressInfo).port,
    sessions: () => sessions,
    async [Symbol.asyncDispose]() {
      for (const session of open) session.destroy()
      server.close()
    },
  }
}

export interface Answer {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly interim: readonly number[]
  readonly body: string
  readonly trailers: IncomingHttpHeaders
}

export interface Http2Client extends AsyncDisposable {
  readonly session: ClientHttp2Session
  request(headers: OutgoingHttpHeaders, body?: string, trailers?: OutgoingHttpHeaders): Promise<Answer>
}

/** One connection with prior knowledge. */
export async function connectHttp2To(port: number): Promise<Http2Client> {
  const session = connect(`http://127.0.0.1:${port}`)
  session.on('error', () => {})
  await once(session, 'connect')
  return {
    session,
    request: (headers, body, trailers) => request(session, headers, { body, trailers }),
    async [Symbol.asyncDispose]() {
      session.destroy()
    },
  }
}

interface Sent {
  readonly body: string | undefined
  readonly trailers: OutgoingHttpHeaders | undefined
}

function request(session: ClientHttp2Session, headers: OutgoingHttpHeaders, sent: Sent): Promise<Answer> {
  const { body, trailers: sentTrailers } = sent
  return new Promise((resolve, reject) => {
    const endStream = body === undefined && sentTrailers === undefined
    const stream = session.request(headers, { endStream, waitForTrailers: sentTrailers !== undefined })
    const chunks: Buffer[] = []
    const interim: number[] = []
    let head: IncomingHttpHeaders = {}
    let trailers: IncomingHttpHeaders = {}
    if (sentTrailers !== undefined) stream.on('wantTrailers', () => stream.sendTrailers(sentTrailers))
    stream.on('headers', (fields) => interim.push(Number(fields[':status'])))
    stream.on('response', (fields) => {
      head = fields
    })
    stream.on('trailers', (fields) => {
      trailers = fields
    })
    stream.on('data', (chunk: Buffer) => chunks.push(chunk))
    stream.on('error', reject)
    stream.on('end', () =>
      resolve({
        status: Number(head[':status']),
        headers: head,
        interim,
        body: Buffer.concat(chunks).toString(),
        trailers,
      }),
    )
    if (!endStream) stream.end(body ?? '')
  })
}
