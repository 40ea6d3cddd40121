// One HTTP exchange with an API server: sends, reads the head, and hands on the body as it comes.
import { type IncomingMessage, Agent as PlainAgent, type RequestOptions, request as requestPlain } from 'node:http'
import { Agent, request as requestTls, type RequestOptions as TlsOptions } from 'node:https'
import type { KubeConnection } from './config.ts'

export interface KubeRequest {
  readonly method: string
  /** With query. */
  readonly path: string
  readonly body?: string
  readonly contentType?: string
  readonly signal: AbortSignal
}

export interface Transport {
  /** Resolves with the head. Rejects when there is no answer, or the signal says so. */
  send(request: KubeRequest): Promise<IncomingMessage>
  close(): void
}

/** Watches hold a connection each, so that there is no upper limit here. */
const AGENT_OPTIONS = { keepAlive: true, keepAliveMsecs: 15_000, scheduling: 'lifo' } as const

export function createTransport(connection: KubeConnection, userAgent: string): Transport {
  const { server } = connection
  const isTls = server.protocol === 'https:'
  const agent = isTls ? new Agent(AGENT_OPTIONS) : new PlainAgent(AGENT_OPTIONS)
  const base = server.pathname.replace(/\/$/, '')
  return {
    async send(wanted) {
      const { token, ...tls } = await connection.credentials()
      const options: TlsOptions & RequestOptions = {
        agent,
        method: wanted.method,
        host: server.hostname.replace(/^\[|\]$/g, ''),
        port: server.port === '' ? (isTls ? 443 : 80) : server.port,
        path: `${base}${wanted.path}`,
        signal: wanted.signal,
        headers: headersOf(wanted, token, userAgent),
        ...tls,
      }
      const request = isTls ? requestTls(options) : requestPlain(options)
      // A server that vanished without a word is found by TCP, also while a watch has nothing to say.
      request.on('socket', (socket) => socket.setKeepAlive(true, 15_000))
      return new Promise((resolve, reject) => {
        request.once('response', resolve)
        request.on('error', reject)
        request.end(wanted.body)
      })
    },
    close: () => agent.destroy(),
  }
}

function headersOf(wanted: KubeRequest, token: string | undefined, userAgent: string): Record<string, string> {
  return {
    accept: 'application/json',
    'user-agent': userAgent,
    ...(token !== undefined && { authorization: `Bearer ${token}` }),
    ...(wanted.body !== undefined && {
      'content-type': wanted.contentType ?? 'application/json',
      'content-length': String(Buffer.byteLength(wanted.body)),
    }),
  }
}
