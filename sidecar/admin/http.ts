// The small HTTP servers of the sidecar's own pages: exact paths, no bodies, tight limits, never a stack trace.
// They stand on node:http: nothing here is in the path of an application.
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, ListenOptions } from 'node:net'
import { limitSources } from '#shared/limit-sources.ts'
import type { Log } from '#shared/log.ts'

export interface Reply {
  readonly status: number
  readonly contentType: string
  readonly body: string
}

/** `query` is what came after the question mark. `signal` is aborted when the caller has gone. */
export type Page = (query: URLSearchParams, signal: AbortSignal) => Reply | Promise<Reply>

/** Keys such as "GET /ready"; a key that ends in "/*" takes one more path segment, given as the query parameter "*". */
export type Pages = Readonly<Record<string, Page>>

export function json(status: number, value: unknown): Reply {
  return { status, contentType: 'application/json', body: `${JSON.stringify(value, null, 2)}\n` }
}

export function plain(status: number, body: string): Reply {
  return { status, contentType: 'text/plain; charset=utf-8', body: `${body}\n` }
}

export interface PageServerOptions {
  readonly pages: Pages
  readonly log: Log
  /** A reply where the caller may not ask at all, else null. */
  readonly refuse?: (request: IncomingMessage) => Reply | null
}

const MOST_CONNECTIONS = 1024
const MOST_CONNECTIONS_PER_SOURCE = 32

export function createPageServer(options: PageServerOptions): Server {
  const server = createServer(
    {
      maxHeaderSize: 8192,
      headersTimeout: 5000,
      requestTimeout: 10_000,
      keepAliveTimeout: 5000,
      connectionsCheckingInterval: 5000,
    },
    (request, response) => void answer(options, request, response),
  )
  server.maxConnections = MOST_CONNECTIONS
  // One neighbour that holds all connections would keep the kubelet from its probes, and so end the pod.
  limitSources(server, MOST_CONNECTIONS_PER_SOURCE)
  server.maxHeadersCount = 64
  return server
}

async function answer(options: PageServerOptions, request: IncomingMessage, response: ServerResponse): Promise<void> {
  // No page takes a body: what comes is thrown away, within requestTimeout.
  request.resume()
  const gone = new AbortController()
  response.once('close', () => gone.abort())
  let reply: Reply
  try {
    reply = options.refuse?.(request) ?? (await dispatch(options.pages, request, gone.signal))
  } catch (cause) {
    options.log.error({ err: cause }, 'a page of the sidecar failed')
    reply = plain(500, 'the sidecar failed to make this page; its log says why')
  }
  response.writeHead(reply.status, {
    'content-type': reply.contentType,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
  })
  response.end(request.method === 'HEAD' ? undefined : reply.body)
}

function dispatch(pages: Pages, request: IncomingMessage, signal: AbortSignal): Reply | Promise<Reply> {
  const target = request.url ?? '/'
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1))
  const method = request.method === 'HEAD' ? 'GET' : (request.method ?? 'GET')
  const exact = lookUp(pages, `${method} ${path}`)
  if (exact !== undefined) return exact(query, signal)
  const slash = path.lastIndexOf('/')
  const wild = lookUp(pages, `${method} ${path.slice(0, slash)}/*`)
  if (wild !== undefined && slash > 0) {
    query.set('*', path.slice(slash + 1))
    return wild(query, signal)
  }
  const isKnown = ['GET', 'POST'].some((other) => lookUp(pages, `${other} ${path}`) !== undefined)
  if (isKnown) return plain(405, `${request.method} is not for ${path}`)
  return plain(404, `no such page; there are:\n${Object.keys(pages).join('\n')}`)
}

function lookUp(pages: Pages, key: string): Page | undefined {
  return Object.hasOwn(pages, key) ? pages[key] : undefined
}

/** Resolves with the bound port (0 for a Unix socket); rejects with the system's error. */
export function listen(server: Server, where: ListenOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(where, () => {
      server.removeListener('error', reject)
      const address = server.address() as AddressInfo | string | null
      resolve(address === null || typeof address === 'string' ? 0 : address.port)
    })
  })
}

/** Only the owner may connect (0600). A socket that a killed process left is removed; anything else in its place is not. */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false })?.isSocket()) unlinkSync(path)
  // listen() binds before it returns: the mask holds for just that moment, so that nobody finds the socket open.
  const mask = process.umask(0o177)
  const listening = listen(server, { path })
  process.umask(mask)
  await listening
  chmodSync(path, 0o600)
}

/** Ends idle and busy connections alike: whoever still reads a page loses it. */
export function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
